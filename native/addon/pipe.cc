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
#include <sched.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#endif

namespace isthmus {
namespace {

#ifdef _WIN32

napi_value not_here(napi_env env, napi_callback_info) { return integer(env, -ENOSYS); }

const Function kTable[] = {
    {"mkfifo", not_here},     {"tryLock", not_here},     {"bytesQueued", not_here},
    {"hasReaders", not_here}, {"setPipeSize", not_here}, {"writeNow", not_here},
    {"readNow", not_here},
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

/** bytesQueued(fd): what was written to the pipe and not yet read, asked at a reading end: macOS tells no other. */
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

/** writeNow(fd, bytes): how many of them the pipe took at once. */
napi_value write_now(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Bytes bytes = args.bytes(1);
  ssize_t count = ::write(args.int32(0), bytes.data, bytes.length);
  return integer(env, count >= 0 ? static_cast<int32_t>(count) : -errno);
}

double micros_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

/**
 * readNow(fd, into, micros): how many bytes came within so many microseconds; 0 at the end of the file. It looks
 * again and again, and between two looks lets whoever shares the processor run, the writer perhaps.
 */
napi_value read_now(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  int fd = args.int32(0);
  Bytes into = args.bytes(1);
  double end = 0;
  for (;;) {
    ssize_t count = ::read(fd, into.data, into.length);
    if (count >= 0) return integer(env, static_cast<int32_t>(count));
    if (errno != EAGAIN) return integer(env, -errno);
    double now = micros_now();
    if (end == 0) end = now + args.int32(2);
    if (now >= end) return integer(env, -EAGAIN);
    ::sched_yield();
  }
}

const Function kTable[] = {
    {"mkfifo", make_fifo},       {"tryLock", try_lock},          {"bytesQueued", bytes_queued},
    {"hasReaders", has_readers}, {"setPipeSize", set_pipe_size}, {"writeNow", write_now},
    {"readNow", read_now},
};

#endif

}  // namespace

bool register_pipe(napi_env env, napi_value exports) { return register_area(env, exports, "pipe", kTable); }

}  // namespace isthmus
