// Where the functions of Node-API come from on Windows. An import library would ask for them in "node.exe"; in a
// program that carries Node under another name (Electron, a single executable) they are in that program itself. So
// nothing is imported: the pointers that calls go through are ours, and filled in when the addon is loaded.
#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

// Every function of Node-API that the addon calls, as test/tooling/native-targets.test.ts checks.
#define NODE_API_FUNCTIONS(one)         \
  one(napi_add_env_cleanup_hook)        \
  one(napi_call_function)               \
  one(napi_call_threadsafe_function)    \
  one(napi_create_array)                \
  one(napi_create_arraybuffer)          \
  one(napi_create_double)               \
  one(napi_create_external)             \
  one(napi_create_external_arraybuffer) \
  one(napi_create_function)             \
  one(napi_create_int32)                \
  one(napi_create_object)               \
  one(napi_create_reference)            \
  one(napi_create_string_utf8)          \
  one(napi_create_threadsafe_function)  \
  one(napi_delete_reference)            \
  one(napi_detach_arraybuffer)          \
  one(napi_get_buffer_info)             \
  one(napi_get_cb_info)                 \
  one(napi_get_undefined)               \
  one(napi_get_value_bool)              \
  one(napi_get_value_external)          \
  one(napi_get_value_int32)             \
  one(napi_get_value_int64)             \
  one(napi_get_value_string_utf8)       \
  one(napi_is_buffer)                   \
  one(napi_is_detached_arraybuffer)     \
  one(napi_ref_threadsafe_function)     \
  one(napi_release_threadsafe_function) \
  one(napi_remove_env_cleanup_hook)     \
  one(napi_set_element)                 \
  one(napi_set_named_property)          \
  one(napi_unref_threadsafe_function)

// What is declared to come from elsewhere is called through a pointer of this name. Windows' own loader would fill
// it in; here it is an ordinary one.
#define POINTER(name) FARPROC __imp_##name;
extern "C" {
NODE_API_FUNCTIONS(POINTER)
}

namespace {

bool fill_in() {
  // The program, which has all of them: those of Node-API 8 and older, as the addon asks for no newer ones.
  const HMODULE program = ::GetModuleHandleW(nullptr);
#define FILL_IN(name) __imp_##name = ::GetProcAddress(program, #name);
  NODE_API_FUNCTIONS(FILL_IN)
  return true;
}

[[maybe_unused]] const bool filled_in = fill_in();

}  // namespace

#endif
