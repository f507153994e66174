// What named pipes need from the operating system and Node's core does not offer.
// Every function gives 0 (or what it is asked for) for success, and the negative errno for failure.
// None of them waits: what cannot be done at once is EAGAIN or EWOULDBLOCK, and TypeScript comes back.

#include "napi.h"

#include <cerrno>

#ifndef _WIN32
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#endif

namespace isthmus {
namespace {

#ifdef _WIN32

napi_value not_here(napi_env env, napi_callback_info) { return integer(env, -ENOSYS); }

const Function kTable[] = {
    {"mkfifo", not_here},     {"tryLock", not_here},     {"bytesQueued", not_here},
    {"hasReaders", not_here}, {"setPipeSize", not_here},
};

#else

/** mkfifo(path, mode): the mode is subject to the umask, as with open. */
napi_value make_fifo(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  int rc = ::mkfifo(args.text(0).c_str(), static_cast<mode_t>(args.int32(1)));
  return integer(env, rc == 0 ? 0 : -errno);
}

/** tryLock(fd): an exclusive lock that the kernel drops with the last descriptor, however the process ends. */
napi_value try_lock(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  int rc = ::flock(args.int32(0), LOCK_EX | LOCK_NB);
  return integer(env, rc == 0 ? 0 : -errno);
}

/** bytesQueued(fd): what was written to the pipe and not yet read, asked at either end. */
napi_value bytes_queued(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  int count = 0;
  int rc = ::ioctl(args.int32(0), FIONREAD, &count);
  return integer(env, rc == 0 ? count : -errno);
}

/** hasReaders(fd): 1 when somebody has the pipe of this writing end open for reading, else 0. */
napi_value has_readers(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  pollfd ask{args.int32(0), POLLOUT, 0};
  int rc = ::poll(&ask, 1, 0);
  if (rc < 0) return integer(env, -errno);
  return integer(env, (ask.revents & (POLLERR | POLLHUP)) == 0 ? 1 : 0);
}

/** setPipeSize(fd, bytes): the size that the kernel gave. */
napi_value set_pipe_size(napi_env env, napi_callback_info info) {
#ifdef F_SETPIPE_SZ
  Arguments<2> args(env, info);
  int size = ::fcntl(args.int32(0), F_SETPIPE_SZ, args.int32(1));
  return integer(env, size >= 0 ? size : -errno);
#else
  return integer(env, -ENOSYS);
#endif
}

const Function kTable[] = {
    {"mkfifo", make_fifo},       {"tryLock", try_lock},          {"bytesQueued", bytes_queued},
    {"hasReaders", has_readers}, {"setPipeSize", set_pipe_size},
};

#endif

}  // namespace

bool register_pipe(napi_env env, napi_value exports) { return register_area(env, exports, "pipe", kTable); }

}  // namespace isthmus
