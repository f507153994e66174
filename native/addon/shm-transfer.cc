// Messages between JavaScript and the ring: sending, receiving, views, loans.
#include "shm-handle.h"

#include <cerrno>
#include <cstring>

#include "../ring/memory.h"

namespace isthmus::shm {

// A sender does not hold its event loop longer than this for the lock.
static constexpr uint64_t kLockNs = 20 * 1000000;

enum SendFlag : int32_t { kWhole = 1, kResume = 2 };

// send(handle, bytes, flags) -> status
napi_value send(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  Bytes bytes = bytes_of(env, args.at[1]);
  const int32_t flags = args.int32(2);
  Outgoing& out = handle->outgoing;
  if (!(flags & kResume) || out.bytes != bytes.length) out = Outgoing();
  out.data = bytes.data;
  out.bytes = bytes.length;
  return integer(env, handle->channel.send(out, kLockNs, flags & kWhole));
}

// sendBatch(handle, slab, bytes) -> status; the block says how many records and bytes went
napi_value send_batch(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  Bytes slab = bytes_of(env, args.at[1]);
  const int64_t bytes = args.int64(2);
  if (bytes < 0 || static_cast<uint64_t>(bytes) > slab.length) return integer(env, -EINVAL);
  uint32_t sent = 0;
  uint64_t used = 0;
  Status status = handle->channel.send_batch(slab.data, static_cast<uint64_t>(bytes), kLockNs, sent, used);
  handle->block[kCount] = sent;
  handle->block[kUsed] = static_cast<double>(used);
  return integer(env, status);
}

/** Electron forbids memory of ours behind an ArrayBuffer; ISTHMUS_NO_EXTERNAL_BUFFERS=1 does so anywhere. */
static bool external_is_forbidden() {
  static const bool forbidden = platform::is_switched_on("ISTHMUS_NO_EXTERNAL_BUFFERS");
  return forbidden;
}

/** Null where external buffers are forbidden. */
static napi_value external_buffer(napi_env env, uint8_t* place, uint64_t bytes, napi_finalize finalize, void* hint) {
  napi_value result = nullptr;
  if (external_is_forbidden()) return nullptr;
  if (napi_create_external_arraybuffer(env, place, bytes, finalize, hint, &result) == napi_ok) return result;
  return nullptr;
}

static void give_back(napi_env, void* data, void* bytes) {
  give_memory(static_cast<uint8_t*>(data), reinterpret_cast<size_t>(bytes));
}

/** An ArrayBuffer over memory that comes back when it is collected; null where external buffers are forbidden. */
static napi_value kept_buffer(napi_env env, uint8_t* block, uint64_t bytes) {
  void* hint = reinterpret_cast<void*>(static_cast<size_t>(bytes));
  napi_value result = external_buffer(env, block, bytes, give_back, hint);
  if (!result) return nullptr;
  // Only for memory of its own does V8 ask whether young buffers have become too much, and collects them;
  // without this they would wait for the next full collection.
  napi_value reminder;
  void* unused;
  napi_create_arraybuffer(env, 8, &unused, &reminder);
  return result;
}

static void use_slab(napi_env env, Handle* handle, napi_value value, uint8_t* data, size_t length) {
  if (handle->slab_ref) napi_delete_reference(env, handle->slab_ref);
  handle->slab_ref = nullptr;
  handle->slab = data;
  handle->slab_bytes = length;
  napi_create_reference(env, value, 1, &handle->slab_ref);
}

// newSlab(handle, bytes) -> ArrayBuffer where receiveBatch puts messages from now on | status
napi_value new_slab(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  const size_t length = static_cast<size_t>(args.int64(1));
  uint8_t* block = take_memory(length);
  if (!block) return integer(env, kNoMemory);
  napi_value result = kept_buffer(env, block, length);
  if (!result) {
    give_memory(block, length);
    return integer(env, kUnsupported);
  }
  use_slab(env, handle, result, block, length);
  return result;
}

// setSlab(handle, bytes): where receiveBatch puts messages from now on
napi_value set_slab(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  Bytes slab = bytes_of(env, args.at[1]);
  use_slab(env, handle, args.at[1], slab.data, slab.length);
  return integer(env, kOk);
}

// receiveBatch(handle, offset, max, largest) -> status of the one after the last that was put into the slab
napi_value receive_batch(napi_env env, napi_callback_info info) {
  Arguments<4> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  size_t offset = static_cast<size_t>(args.int32(1));
  const int32_t max = args.int32(2);
  const int32_t largest = args.int32(3);
  if (largest < 0) return integer(env, -EINVAL);
  int32_t count = 0;
  Status status = kOk;
  while (count < max) {
    Message message;
    // What has come since is left for the next call: to run after the sender, message by message, would
    // slow both down.
    if (count > 0 && handle->channel.caught_up()) {
      handle->channel.publish_cursor();
      break;
    }
    if (offset + sizeof(RecordHeader) > handle->slab_bytes) {
      // Room for nothing: say how much the next would need at least.
      handle->block[kBytes] = 0;
      status = handle->channel.data_waiting() ? kNeedsSpace : kEmpty;
      break;
    }
    uint8_t* place = handle->slab + offset;
    status = handle->channel.receive(place + sizeof(RecordHeader), handle->slab_bytes - offset - sizeof(RecordHeader), message,
                                     static_cast<uint64_t>(largest));
    if (status != kOk) {
      report(handle, message);
      break;
    }
    const uint32_t head[2] = {static_cast<uint32_t>(message.bytes),
                              message.missed > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(message.missed)};
    std::memcpy(place, head, sizeof head);
    std::memcpy(place + sizeof head, &message.sequence, sizeof message.sequence);
    offset += record_bytes(message.bytes);
    count++;
  }
  handle->block[kCount] = count;
  handle->block[kUsed] = static_cast<double>(offset);
  return integer(env, status);
}

// receiveInto(handle, bytes) -> status
napi_value receive_into(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  Bytes bytes = bytes_of(env, args.at[1]);
  Message message;
  Status status = handle->channel.receive_into(bytes.data, bytes.length, message);
  report(handle, message);
  return integer(env, status);
}

/** The first `bytes` of a block: as kept_buffer, or a copy where that is refused. The block is no longer the caller's. */
static napi_value owned_buffer(napi_env env, uint8_t* block, uint64_t room, uint64_t bytes) {
  if (napi_value result = bytes == room && bytes > 0 ? kept_buffer(env, block, bytes) : nullptr) return result;
  napi_value result = nullptr;
  void* copy = nullptr;
  if (napi_create_arraybuffer(env, bytes, &copy, &result) == napi_ok && bytes > 0) std::memcpy(copy, block, bytes);
  give_memory(block, room);
  return result ? result : integer(env, kNoMemory);
}

// receiveOwned(handle) -> ArrayBuffer with the next message, in memory of its own | status
napi_value receive_owned(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  uint64_t room = 0;
  uint8_t* block = nullptr;
  for (;;) {
    Message message;
    Status status = handle->channel.receive(block, room, message);
    report(handle, message);
    // On a channel that drops, a smaller one may have taken the place of the message that was asked for.
    if (status == kOk) return owned_buffer(env, block, room, message.bytes);
    give_memory(block, room);
    if (status != kNeedsSpace) return integer(env, status);
    room = message.bytes;
    block = take_memory(room);
    if (!block) return integer(env, kNoMemory);
  }
}

// takeLarge(handle) -> ArrayBuffer
napi_value take_large(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  uint64_t bytes = 0;
  uint8_t* data = handle->channel.take_large(bytes);
  if (!data) return integer(env, kEmpty);
  return owned_buffer(env, data, bytes, bytes);
}

// takeLargeInto(handle, bytes) -> status; the place is large enough
napi_value take_large_into(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  Bytes place = bytes_of(env, args.at[1]);
  uint64_t bytes = 0;
  uint8_t* data = handle->channel.take_large(bytes);
  if (!data) return integer(env, kEmpty);
  std::memcpy(place.data, data, bytes < place.length ? bytes : place.length);
  give_memory(data, bytes);
  return integer(env, kOk);
}

static void forget(napi_env, void*, void*) {}

// receiveView(handle) -> ArrayBuffer over the ring | status. Ticket 0: it is a copy and holds nothing.
napi_value receive_view(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  const uint8_t* place = nullptr;
  Message message;
  uint64_t ticket = 0;
  Status status = handle->channel.receive_view(place, message, ticket);
  report(handle, message);
  if (status != kOk) return integer(env, status);
  napi_value result = message.bytes > 0 ? external_buffer(env, const_cast<uint8_t*>(place), message.bytes, forget, nullptr) : nullptr;
  if (!result) {
    void* copy = nullptr;
    if (napi_create_arraybuffer(env, message.bytes, &copy, &result) == napi_ok && message.bytes > 0) {
      std::memcpy(copy, place, message.bytes);
    }
    handle->channel.release_view(ticket);
    ticket = 0;
  }
  handle->block[kTicket] = static_cast<double>(ticket);
  return result;
}

/** No array shows the memory any more. Who has transferred it shows it still: then it stays mapped, so that nothing crashes. */
static void end_access(napi_env env, Handle* handle, napi_value buffer) {
  bool gone = false;
  if (handle && napi_is_detached_arraybuffer(env, buffer, &gone) == napi_ok && gone) handle->channel.keep_mapping();
  napi_detach_arraybuffer(env, buffer);
}

// releaseView(handle, arrayBuffer, ticket)
napi_value release_view(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  end_access(env, args.int64(2) > 0 ? handle : nullptr, args.at[1]);
  if (handle && args.int64(2) > 0) handle->channel.release_view(static_cast<uint64_t>(args.int64(2)));
  return nullptr;
}

// loan(handle, bytes) -> ArrayBuffer over the ring | status
napi_value loan(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  uint8_t* place = nullptr;
  const uint64_t bytes = static_cast<uint64_t>(args.int64(1));
  Status status = handle->channel.loan(bytes, place);
  if (status != kOk) return integer(env, status);
  napi_value result = external_buffer(env, place, bytes, forget, nullptr);
  if (result) return result;
  handle->channel.drop_loan();
  return integer(env, kUnsupported);
}

// commitLoan(handle, arrayBuffer, bytes) -> status; a negative number of bytes gives the loan back
napi_value commit_loan(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  end_access(env, handle, args.at[1]);
  if (!handle) return integer(env, -EBADF);
  const int64_t bytes = args.int64(2);
  const Status status = bytes >= 0 ? handle->channel.commit_loan(static_cast<uint64_t>(bytes)) : kOk;
  handle->channel.drop_loan();
  return integer(env, status);
}

}  // namespace isthmus::shm
