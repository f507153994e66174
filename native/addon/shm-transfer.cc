// Messages between JavaScript and the ring: sending, receiving, views, loans.
#include "shm-handle.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

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

// setSlab(handle, bytes): where receiveBatch puts messages
napi_value set_slab(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  if (handle->slab_ref) napi_delete_reference(env, handle->slab_ref);
  handle->slab_ref = nullptr;
  Bytes slab = bytes_of(env, args.at[1]);
  handle->slab = slab.data;
  handle->slab_bytes = slab.length;
  napi_create_reference(env, args.at[1], 1, &handle->slab_ref);
  return integer(env, kOk);
}

// receiveBatch(handle, offset, max) -> status of the one after the last that was put into the slab
napi_value receive_batch(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  size_t offset = static_cast<size_t>(args.int32(1));
  const int32_t max = args.int32(2);
  int32_t count = 0;
  Status status = kOk;
  if (max > 1) handle->channel.gather();
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
    status = handle->channel.receive(place + sizeof(RecordHeader), handle->slab_bytes - offset - sizeof(RecordHeader), message);
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
  Status status = handle->channel.receive(bytes.data, bytes.length, message);
  report(handle, message);
  return integer(env, status);
}

static void free_large(napi_env, void* data, void*) { std::free(data); }

// takeLarge(handle) -> ArrayBuffer
napi_value take_large(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  uint64_t bytes = 0;
  uint8_t* data = handle->channel.take_large(bytes);
  if (!data) return integer(env, kEmpty);
  napi_value result = nullptr;
  if (napi_create_external_arraybuffer(env, data, bytes, free_large, nullptr, &result) == napi_ok) return result;
  // Where external buffers are forbidden.
  void* copy = nullptr;
  if (napi_create_arraybuffer(env, bytes, &copy, &result) == napi_ok) std::memcpy(copy, data, bytes);
  std::free(data);
  return result ? result : integer(env, kNoMemory);
}

static void forget(napi_env, void*, void*) {}

static napi_value external_view(napi_env env, const uint8_t* place, uint64_t bytes) {
  napi_value result = nullptr;
  if (napi_create_external_arraybuffer(env, const_cast<uint8_t*>(place), bytes, forget, nullptr, &result) == napi_ok) return result;
  return nullptr;
}

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
  napi_value result = message.bytes > 0 ? external_view(env, place, message.bytes) : nullptr;
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

// releaseView(handle, arrayBuffer, ticket)
napi_value release_view(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  napi_detach_arraybuffer(env, args.at[1]);
  Handle* handle = handle_of(env, args.at[0]);
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
  napi_value result = external_view(env, place, bytes);
  if (result) return result;
  handle->channel.drop_loan();
  return integer(env, kUnsupported);
}

// commitLoan(handle, arrayBuffer, bytes) -> status; a negative number of bytes gives the loan back
napi_value commit_loan(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  napi_detach_arraybuffer(env, args.at[1]);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  const int64_t bytes = args.int64(2);
  if (bytes >= 0) return integer(env, handle->channel.commit_loan(static_cast<uint64_t>(bytes)));
  handle->channel.drop_loan();
  return integer(env, kOk);
}

}  // namespace isthmus::shm
