// The little that every area of the addon shares: how an area registers its functions, and how
// arguments are read. Functions report trouble from the operating system as a negative errno, which
// TypeScript turns into an error with a code; nothing here throws for it.
#pragma once

#define NAPI_VERSION 8
#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace isthmus {

struct Function {
  const char* name;
  napi_callback callback;
};

/** Makes `exports[area] = { name: function, … }`. False when Node-API refused. */
template <size_t N>
inline bool register_area(napi_env env, napi_value exports, const char* area, const Function (&table)[N]) {
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok) return false;
  for (const Function& entry : table) {
    napi_value fn;
    if (napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.callback, nullptr, &fn) != napi_ok) return false;
    if (napi_set_named_property(env, object, entry.name, fn) != napi_ok) return false;
  }
  return napi_set_named_property(env, exports, area, object) == napi_ok;
}

/** What a typed array holds; none for another value. */
struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};

inline Bytes bytes_of(napi_env env, napi_value value) {
  Bytes bytes;
  void* data = nullptr;
  // Not napi_get_typedarray_info, which finds out the kind of array first, and is twice as slow for it.
  bool is = false;
  if (napi_is_buffer(env, value, &is) != napi_ok || !is) return Bytes{};
  if (napi_get_buffer_info(env, value, &data, &bytes.length) != napi_ok) return Bytes{};
  bytes.data = static_cast<uint8_t*>(data);
  return bytes;
}

/** The arguments of one call; a missing one is `undefined`. */
template <size_t N>
struct Arguments {
  napi_value at[N];
  napi_env env;
  Arguments(napi_env e, napi_callback_info info) : env(e) {
    size_t count = N;
    napi_get_cb_info(env, info, &count, at, nullptr, nullptr);
  }
  int32_t int32(size_t i) const {
    int32_t value = 0;
    napi_get_value_int32(env, at[i], &value);
    return value;
  }
  /** Numbers of JavaScript are exact up to 2^53, which no position or size of ours exceeds. */
  int64_t int64(size_t i) const {
    int64_t value = 0;
    napi_get_value_int64(env, at[i], &value);
    return value;
  }
  Bytes bytes(size_t i) const { return bytes_of(env, at[i]); }
  bool boolean(size_t i) const {
    bool value = false;
    napi_get_value_bool(env, at[i], &value);
    return value;
  }
  std::string text(size_t i) const {
    size_t length = 0;
    if (napi_get_value_string_utf8(env, at[i], nullptr, 0, &length) != napi_ok) return std::string();
    std::string value(length, '\0');
    napi_get_value_string_utf8(env, at[i], &value[0], length + 1, &length);
    return value;
  }
};

inline napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

inline napi_value integer(napi_env env, int32_t value) {
  napi_value result = nullptr;
  napi_create_int32(env, value, &result);
  return result;
}

// One function for each area, in the file of that area; called from registration.cc.
bool register_pipe(napi_env env, napi_value exports);
bool register_shm(napi_env env, napi_value exports);

}  // namespace isthmus
