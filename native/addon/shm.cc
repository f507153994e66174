// Shared-memory channels for JavaScript: opening, closing, and the table of functions.
#include "shm-handle.h"

#include <cerrno>

#include "../ring/fault.h"

namespace isthmus {
namespace {

// Runs when the environment ends (the process exits or a worker is terminated): leave, as with close.
void on_environment_end(void* data) {
  Handle* handle = static_cast<Handle*>(data);
  handle->hooked = false;
  stop_watching(handle);
  handle->channel.close();
}

void finalize(napi_env env, void* data, void*) {
  Handle* handle = static_cast<Handle*>(data);
  if (handle->hooked) napi_remove_env_cleanup_hook(env, on_environment_end, handle);
  stop_watching(handle);
  handle->channel.close();
  if (handle->block_ref) napi_delete_reference(env, handle->block_ref);
  if (handle->slab_ref) napi_delete_reference(env, handle->slab_ref);
  delete handle;
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
  if (!block.data || block.length < kPlaces * sizeof(double)) return integer(env, -EINVAL);

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
  stop_watching(handle);
  handle->channel.close();
  if (handle->hooked) napi_remove_env_cleanup_hook(env, on_environment_end, handle);
  handle->hooked = false;
  if (handle->slab_ref) napi_delete_reference(env, handle->slab_ref);
  handle->slab_ref = nullptr;
  handle->slab = nullptr;
  handle->slab_bytes = 0;
  return nullptr;
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
    {"send", shm::send},
    {"sendBatch", shm::send_batch},
    {"setSlab", shm::set_slab},
    {"newSlab", shm::new_slab},
    {"receiveBatch", shm::receive_batch},
    {"receiveInto", shm::receive_into},
    {"receiveOwned", shm::receive_owned},
    {"takeLarge", shm::take_large},
    {"takeLargeInto", shm::take_large_into},
    {"receiveView", shm::receive_view},
    {"releaseView", shm::release_view},
    {"loan", shm::loan},
    {"commitLoan", shm::commit_loan},
    {"ready", shm::ready},
    {"spin", shm::spin},
    {"wait", shm::wait},
    {"arm", shm::arm},
    {"disarm", shm::disarm},
    {"bell", shm::bell},
    {"bellLost", shm::bell_lost},
    {"watchBell", shm::watch_bell},
    {"holdBell", shm::hold_bell},
    {"unwatchBell", shm::unwatch_bell},
    {"count", shm::count},
    {"left", shm::left},
    {"evictDead", shm::evict_dead},
    {"rejoin", shm::rejoin},
    {"publish", shm::publish},
    {"tidy", shm::tidy},
    {"peers", shm::peers},
    {"info", shm::info_of},
    {"list", shm::list},
    {"path", shm::path},
    {"clear", shm::clear},
#ifdef ISTHMUS_FAULT_POINTS
    {"armFault", arm_fault_point},
#endif
};

}  // namespace

bool register_shm(napi_env env, napi_value exports) { return register_area(env, exports, "shm", kTable); }

}  // namespace isthmus
