// How the event loop hears the bell. Where a bell is a FIFO, JavaScript reads it like any file; where it is
// an object of the system (Windows), a thread of the system's hears it and hands the call to the loop.
#include "shm-handle.h"

#include <atomic>
#include <cerrno>

namespace isthmus {

/** Deleted when the loop has let go of it, which may be after the handle was closed. */
struct BellWatcher {
  Handle* handle = nullptr;
  platform::BellWatch* watch = nullptr;
  napi_threadsafe_function call = nullptr;
  int bell = -1;
  /** A call is on its way: further rings before it arrives are one with it. */
  std::atomic<bool> pending{false};
  /** The loop is ending and has taken back the right to call it. */
  std::atomic<bool> refused{false};
};

namespace {

/** On a thread of the system's. */
void on_ring(void* data) {
  BellWatcher* watcher = static_cast<BellWatcher*>(data);
  if (watcher->pending.exchange(true)) return;
  if (napi_call_threadsafe_function(watcher->call, nullptr, napi_tsfn_nonblocking) == napi_closing) watcher->refused = true;
}

/** On the loop. */
void call_listener(napi_env env, napi_value listener, void* context, void*) {
  static_cast<BellWatcher*>(context)->pending = false;
  if (!env || !listener) return;
  napi_value nobody, ignored;
  napi_get_undefined(env, &nobody);
  napi_call_function(env, nobody, listener, 0, nullptr, &ignored);
}

void end_watch(BellWatcher* watcher) {
  if (!watcher->watch) return;
  platform::unwatch_bell(watcher->watch);
  platform::close_file(watcher->bell);
  watcher->watch = nullptr;
}

void on_released(napi_env, void* data, void*) {
  BellWatcher* watcher = static_cast<BellWatcher*>(data);
  end_watch(watcher);
  if (watcher->handle) watcher->handle->watcher = nullptr;
  delete watcher;
}

}  // namespace

void stop_watching(Handle* handle) {
  BellWatcher* watcher = handle->watcher;
  if (!watcher) return;
  handle->watcher = nullptr;
  watcher->handle = nullptr;
  end_watch(watcher);
  if (!watcher->refused) napi_release_threadsafe_function(watcher->call, napi_tsfn_abort);
}

namespace shm {

// bell(handle) -> a descriptor that becomes readable when rung, the caller's to close | status
napi_value bell(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return integer(env, handle ? handle->channel.bell_fd() : -EBADF);
}

napi_value bell_lost(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return integer(env, handle && handle->channel.bell_is_lost() ? 1 : 0);
}

// watchBell(handle, listener) -> status; -ENOSYS where the bell is read instead. Does not hold the process.
napi_value watch_bell(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  stop_watching(handle);
  BellWatcher* watcher = new BellWatcher;
  napi_value name;
  napi_create_string_utf8(env, "isthmus bell", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, args.at[1], nullptr, name, 0, 1, watcher, on_released, watcher, call_listener,
                                      &watcher->call) != napi_ok) {
    delete watcher;
    return integer(env, -ENOMEM);
  }
  napi_unref_threadsafe_function(env, watcher->call);
  handle->watcher = watcher;
  watcher->handle = handle;
  watcher->bell = handle->channel.bell_fd();
  const int32_t failed = watcher->bell < 0 ? watcher->bell : -ENOSYS;
  if (watcher->bell >= 0) watcher->watch = platform::watch_bell(watcher->bell, on_ring, watcher);
  if (watcher->watch) return integer(env, kOk);
  platform::close_file(watcher->bell);
  stop_watching(handle);
  return integer(env, failed);
}

// holdBell(handle, hold): whether the process stays for what may ring
napi_value hold_bell(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle || !handle->watcher) return nullptr;
  if (args.boolean(1)) napi_ref_threadsafe_function(env, handle->watcher->call);
  else napi_unref_threadsafe_function(env, handle->watcher->call);
  return nullptr;
}

napi_value unwatch_bell(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  if (Handle* handle = handle_of(env, args.at[0])) stop_watching(handle);
  return nullptr;
}

}  // namespace shm
}  // namespace isthmus
