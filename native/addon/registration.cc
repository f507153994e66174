// The entry of the addon: each area registers its functions under its own name.
// A new area is one file beside this one, one declaration in napi.h and one line here. On a system that the
// ring has no platform layer for, `shm` is missing, and isthmus/shm says so when it is opened.

#include "napi.h"

namespace {

// Raised with every change of a function that TypeScript calls; src/native/binding.ts refuses another.
// src/native/binding.test.ts notices when that was forgotten.
constexpr int32_t kInterfaceVersion = 6;

napi_value init(napi_env env, napi_value exports) {
  using namespace isthmus;
  napi_set_named_property(env, exports, "interfaceVersion", integer(env, kInterfaceVersion));
  if (!register_pipe(env, exports)) return nullptr;
#ifndef ISTHMUS_NO_RING
  if (!register_shm(env, exports)) return nullptr;
#endif
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
