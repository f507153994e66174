// What the files of the shared-memory area share: the handle behind JavaScript's external value, and how
// results go back. A handle is an external value, results beyond a status go through a block of doubles that
// both sides hold, and bulk goes through a slab: a call makes as few Node-API values as it can.
#pragma once

#include "napi.h"

#include "../ring/channel.h"

namespace isthmus {

// The places of the block; src/shm/handle.ts names the same.
enum Place { kSequence = 0, kMissed = 1, kBytes = 2, kCount = 3, kUsed = 4, kTicket = 5, kPlaces = 8 };

struct BellWatcher;

struct Handle {
  Channel channel;
  Outgoing outgoing;
  double* block = nullptr;
  uint8_t* slab = nullptr;
  size_t slab_bytes = 0;
  napi_ref block_ref = nullptr;
  napi_ref slab_ref = nullptr;
  napi_env env = nullptr;
  BellWatcher* watcher = nullptr;
  bool hooked = false;
};

inline Handle* handle_of(napi_env env, napi_value value) {
  void* data = nullptr;
  if (napi_get_value_external(env, value, &data) != napi_ok) return nullptr;
  Handle* handle = static_cast<Handle*>(data);
  return handle->channel.is_open() ? handle : nullptr;
}

inline void report(Handle* handle, const Message& message) {
  handle->block[kSequence] = static_cast<double>(message.sequence);
  handle->block[kMissed] = static_cast<double>(message.missed);
  handle->block[kBytes] = static_cast<double>(message.bytes);
}

#define SHM_FUNCTION(name) napi_value name(napi_env env, napi_callback_info info)
namespace shm {
// shm-transfer.cc
SHM_FUNCTION(send);
SHM_FUNCTION(send_batch);
SHM_FUNCTION(set_slab);
SHM_FUNCTION(new_slab);
SHM_FUNCTION(receive_batch);
SHM_FUNCTION(receive_into);
SHM_FUNCTION(receive_owned);
SHM_FUNCTION(take_large);
SHM_FUNCTION(take_large_into);
SHM_FUNCTION(receive_view);
SHM_FUNCTION(release_view);
SHM_FUNCTION(loan);
SHM_FUNCTION(commit_loan);
// shm-bell.cc
SHM_FUNCTION(bell);
SHM_FUNCTION(bell_lost);
SHM_FUNCTION(watch_bell);
SHM_FUNCTION(hold_bell);
SHM_FUNCTION(unwatch_bell);
// shm-presence.cc
SHM_FUNCTION(ready);
SHM_FUNCTION(spin);
SHM_FUNCTION(wait);
SHM_FUNCTION(arm);
SHM_FUNCTION(disarm);
SHM_FUNCTION(count);
SHM_FUNCTION(left);
SHM_FUNCTION(evict_dead);
SHM_FUNCTION(rejoin);
SHM_FUNCTION(publish);
SHM_FUNCTION(tidy);
SHM_FUNCTION(peers);
SHM_FUNCTION(info_of);
SHM_FUNCTION(list);
SHM_FUNCTION(path);
SHM_FUNCTION(clear);
}  // namespace shm
#undef SHM_FUNCTION

/** Ends the watch of the handle's bell, if there is one. */
void stop_watching(Handle* handle);

}  // namespace isthmus
