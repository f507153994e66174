// Shared-memory channels for JavaScript: a handle is an external value, results beyond a status go through
// a block of doubles that both sides hold, and bulk goes through a slab; a call makes as few Node-API
// values as it can.

#include "napi.h"

#ifdef __linux__

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "../ring/channel.h"
#include "../ring/fault.h"

namespace isthmus {
namespace {

// The places of the block; src/shm/handle.ts names the same.
enum Place { kSequence = 0, kMissed = 1, kBytes = 2, kCount = 3, kUsed = 4, kTicket = 5, kPlaces = 8 };

struct Handle {
  Channel channel;
  Outgoing outgoing;
  double* block = nullptr;
  uint8_t* slab = nullptr;
  size_t slab_bytes = 0;
  napi_ref block_ref = nullptr;
  napi_ref slab_ref = nullptr;
  napi_env env = nullptr;
  bool hooked = false;
};

// Runs when the environment ends (the process exits or a worker is terminated): leave, as with close.
void on_environment_end(void* data) {
  Handle* handle = static_cast<Handle*>(data);
  handle->hooked = false;
  handle->channel.close();
}

void finalize(napi_env env, void* data, void*) {
  Handle* handle = static_cast<Handle*>(data);
  if (handle->hooked) napi_remove_env_cleanup_hook(env, on_environment_end, handle);
  handle->channel.close();
  if (handle->block_ref) napi_delete_reference(env, handle->block_ref);
  if (handle->slab_ref) napi_delete_reference(env, handle->slab_ref);
  delete handle;
}

Handle* handle_of(napi_env env, napi_value value) {
  void* data = nullptr;
  if (napi_get_value_external(env, value, &data) != napi_ok) return nullptr;
  Handle* handle = static_cast<Handle*>(data);
  return handle->channel.is_open() ? handle : nullptr;
}

struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};

Bytes bytes_of(napi_env env, napi_value value) {
  Bytes bytes;
  void* data = nullptr;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, &bytes.length, &data, nullptr, nullptr) != napi_ok) return Bytes{};
  bytes.data = static_cast<uint8_t*>(data);
  return bytes;
}

void report(Handle* handle, const Message& message) {
  handle->block[kSequence] = static_cast<double>(message.sequence);
  handle->block[kMissed] = static_cast<double>(message.missed);
  handle->block[kBytes] = static_cast<double>(message.bytes);
}

enum Flag : int32_t { kLatest = 1, kGroup = 2, kAnyPolicy = 4, kMustExist = 8, kAnyType = 16, kEcho = 32 };

// open(block, name, type, role, policy, capacity, evictMs, history, flags, peerName) -> handle | status
napi_value open_channel(napi_env env, napi_callback_info info) {
  Arguments<10> args(env, info);
  RegionOptions region;
  region.name = args.text(1);
  region.type = static_cast<ChannelType>(args.int32(2));
  region.policy = static_cast<Policy>(args.int32(4));
  region.capacity = static_cast<uint64_t>(args.int64(5));
  region.evict_ms = static_cast<uint32_t>(args.int64(6));
  region.history = static_cast<uint32_t>(args.int64(7));
  const int32_t flags = args.int32(8);
  region.latest = flags & kLatest;
  region.group = flags & kGroup;
  region.any_policy = flags & kAnyPolicy;
  region.must_exist = flags & kMustExist;
  region.any_type = flags & kAnyType;
  HandleOptions options;
  options.role = static_cast<uint32_t>(args.int32(3));
  options.echo = flags & kEcho;
  options.peer_name = args.text(9);
  Bytes block = bytes_of(env, args.at[0]);
  if (!block.data || block.length < kPlaces) return integer(env, -EINVAL);

  Handle* handle = new Handle;
  Status status = handle->channel.open(region, options);
  if (status != kOk) {
    delete handle;
    return integer(env, status);
  }
  handle->block = reinterpret_cast<double*>(block.data);
  handle->env = env;
  napi_create_reference(env, args.at[0], 1, &handle->block_ref);
  handle->hooked = napi_add_env_cleanup_hook(env, on_environment_end, handle) == napi_ok;
  napi_value external;
  napi_create_external(env, handle, finalize, nullptr, &external);
  return external;
}

napi_value close_channel(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return nullptr;
  handle->channel.close();
  if (handle->hooked) napi_remove_env_cleanup_hook(env, on_environment_end, handle);
  handle->hooked = false;
  if (handle->slab_ref) napi_delete_reference(env, handle->slab_ref);
  handle->slab_ref = nullptr;
  handle->slab = nullptr;
  handle->slab_bytes = 0;
  return nullptr;
}

// send(handle, bytes, whole, resume, lockMs) -> status
napi_value send(napi_env env, napi_callback_info info) {
  Arguments<5> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  Bytes bytes = bytes_of(env, args.at[1]);
  Outgoing& out = handle->outgoing;
  if (!args.boolean(3) || out.bytes != bytes.length) out = Outgoing();
  out.data = bytes.data;
  out.bytes = bytes.length;
  return integer(env, handle->channel.send(out, static_cast<uint64_t>(args.int32(4)) * 1000000, args.boolean(2)));
}

// sendBatch(handle, slab, from, to, lockMs) -> status; the block says how many records and bytes went
napi_value send_batch(napi_env env, napi_callback_info info) {
  Arguments<5> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  Bytes slab = bytes_of(env, args.at[1]);
  const int64_t from = args.int64(2), to = args.int64(3);
  if (from < 0 || to < from || static_cast<uint64_t>(to) > slab.length) return integer(env, -EINVAL);
  uint32_t sent = 0;
  uint64_t used = 0;
  Status status = handle->channel.send_batch(slab.data + from, static_cast<uint64_t>(to - from),
                                             static_cast<uint64_t>(args.int32(4)) * 1000000, sent, used);
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
  while (count < max) {
    Message message;
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

void free_large(napi_env, void* data, void*) { std::free(data); }

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

void forget(napi_env, void*, void*) {}

napi_value external_view(napi_env env, const uint8_t* place, uint64_t bytes) {
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

Wait wait_of(int32_t what) { return what == 0 ? Wait::data : what == 1 ? Wait::space : Wait::presence; }

napi_value truth(napi_env env, bool value) { return integer(env, value ? 1 : 0); }

napi_value spin(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return truth(env, handle && handle->channel.spin(wait_of(args.int32(1)), static_cast<uint64_t>(args.int32(2)) * 1000));
}

napi_value wait(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return truth(env, handle && handle->channel.wait(wait_of(args.int32(1)), static_cast<uint64_t>(args.int32(2)) * 1000000));
}

napi_value arm(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return truth(env, handle && handle->channel.arm(wait_of(args.int32(1))));
}

napi_value disarm(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  if (Handle* handle = handle_of(env, args.at[0])) handle->channel.disarm(wait_of(args.int32(1)));
  return nullptr;
}

napi_value bell(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return integer(env, handle ? handle->channel.bell_fd() : -EBADF);
}

napi_value bell_lost(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return truth(env, handle && handle->channel.bell_is_lost());
}

napi_value count(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return integer(env, handle ? static_cast<int32_t>(handle->channel.count(static_cast<uint32_t>(args.int32(1)))) : -EBADF);
}

napi_value left(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return number(env, handle ? handle->channel.left(static_cast<uint32_t>(args.int32(1))) : 0);
}

napi_value evict_dead(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return integer(env, handle ? handle->channel.evict_dead() : -EBADF);
}

napi_value rejoin(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return integer(env, handle ? handle->channel.rejoin() : -EBADF);
}

napi_value publish(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  if (Handle* handle = handle_of(env, args.at[0])) handle->channel.publish_cursor();
  return nullptr;
}

void set(napi_env env, napi_value object, const char* key, double value) {
  napi_set_named_property(env, object, key, number(env, value));
}

void set(napi_env env, napi_value object, const char* key, const std::string& value) {
  napi_value text;
  napi_create_string_utf8(env, value.data(), value.size(), &text);
  napi_set_named_property(env, object, key, text);
}

napi_value peers(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  napi_value list;
  napi_create_array(env, &list);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return list;
  uint32_t index = 0;
  for (const PeerInfo& peer : handle->channel.peers()) {
    napi_value entry;
    napi_create_object(env, &entry);
    set(env, entry, "slot", peer.slot);
    set(env, entry, "generation", peer.generation);
    set(env, entry, "pid", peer.pid);
    set(env, entry, "role", peer.role);
    set(env, entry, "state", peer.state);
    set(env, entry, "lagBytes", static_cast<double>(peer.lag_bytes));
    set(env, entry, "joinedAt", static_cast<double>(peer.joined_ms));
    set(env, entry, "name", peer.name);
    napi_set_element(env, list, index++, entry);
  }
  return list;
}

napi_value info_of(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  const Channel& channel = handle->channel;
  const Constants& c = channel.constants();
  napi_value object;
  napi_create_object(env, &object);
  set(env, object, "slot", channel.slot());
  set(env, object, "type", c.type);
  set(env, object, "policy", c.policy);
  set(env, object, "capacity", static_cast<double>(c.capacity));
  set(env, object, "fileBytes", static_cast<double>(c.file_bytes));
  set(env, object, "evictMs", c.evict_ms);
  set(env, object, "history", c.history);
  set(env, object, "latest", c.latest);
  set(env, object, "layoutVersion", c.version);
  set(env, object, "inlineLimit", static_cast<double>(channel.inline_limit()));
  set(env, object, "position", static_cast<double>(channel.head()));
  set(env, object, "nextSequence", static_cast<double>(channel.next_sequence()));
  return object;
}

napi_value list(napi_env env, napi_callback_info) {
  napi_value result;
  napi_create_array(env, &result);
  uint32_t index = 0;
  for (const RegionEntry& region : list_regions()) {
    napi_value entry;
    napi_create_object(env, &entry);
    set(env, entry, "name", region.name);
    set(env, entry, "group", region.group ? 1 : 0);
    napi_set_element(env, result, index++, entry);
  }
  return result;
}

napi_value clear(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  return integer(env, clear_region(args.text(0), args.boolean(1)));
}

#ifdef ISTHMUS_FAULT_POINTS
// armFault(point, countdown, stopOnly)
napi_value arm_fault_point(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  static std::string point;
  point = args.text(0);
  arm_fault(point.c_str(), args.int32(1), args.boolean(2));
  return nullptr;
}
#endif

const Function kTable[] = {
    {"open", open_channel},
    {"close", close_channel},
    {"send", send},
    {"sendBatch", send_batch},
    {"setSlab", set_slab},
    {"receiveBatch", receive_batch},
    {"receiveInto", receive_into},
    {"takeLarge", take_large},
    {"receiveView", receive_view},
    {"releaseView", release_view},
    {"loan", loan},
    {"commitLoan", commit_loan},
    {"spin", spin},
    {"wait", wait},
    {"arm", arm},
    {"disarm", disarm},
    {"bell", bell},
    {"bellLost", bell_lost},
    {"count", count},
    {"left", left},
    {"evictDead", evict_dead},
    {"rejoin", rejoin},
    {"publish", publish},
    {"peers", peers},
    {"info", info_of},
    {"list", list},
    {"clear", clear},
#ifdef ISTHMUS_FAULT_POINTS
    {"armFault", arm_fault_point},
#endif
};

}  // namespace

bool register_shm(napi_env env, napi_value exports) { return register_area(env, exports, "shm", kTable); }

}  // namespace isthmus

#else

// The ring's platform layer exists for Linux alone; elsewhere `shm` is missing from the addon, and
// isthmus/shm says so when it is opened.
namespace isthmus {
bool register_shm(napi_env, napi_value) { return true; }
}  // namespace isthmus

#endif
