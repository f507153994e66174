// What named pipes need from the operating system and Node's core does not offer.
// Every function gives 0 (or a descriptor) for success, and the negative errno for failure.

#include "napi.h"

#include <cerrno>

#ifndef _WIN32
#include <sys/stat.h>
#include <sys/types.h>
#endif

namespace isthmus {
namespace {

/** mkfifo(path, mode): the mode is subject to the umask, as with open. */
napi_value make_fifo(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
#ifdef _WIN32
  return integer(env, -ENOSYS);
#else
  int rc = ::mkfifo(args.text(0).c_str(), static_cast<mode_t>(args.int32(1)));
  return integer(env, rc == 0 ? 0 : -errno);
#endif
}

const Function kTable[] = {
    {"mkfifo", make_fifo},
};

}  // namespace

bool register_pipe(napi_env env, napi_value exports) { return register_area(env, exports, "pipe", kTable); }

}  // namespace isthmus
