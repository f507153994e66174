// The platform layer for Linux, beside posix.cc: tmpfs, files without a name, futexes.
#ifdef __linux__

#include "platform.h"

#include <cerrno>
#include <climits>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace isthmus::platform {
namespace {

/** So few that they are there before the next signal of a profiler comes: a call that is interrupted has done nothing. */
constexpr uint64_t kAllocatedBytes = 64 << 10;

/** ftruncate alone succeeds on a full tmpfs and the first write then dies of SIGBUS. */
int allocate(int fd, uint64_t bytes) {
  for (uint64_t at = 0; at < bytes; at += kAllocatedBytes) {
    const uint64_t part = bytes - at < kAllocatedBytes ? bytes - at : kAllocatedBytes;
    int error;
    do error = ::posix_fallocate(fd, static_cast<off_t>(at), static_cast<off_t>(part));
    while (error == EINTR);
    if (error != 0) return error;
  }
  return 0;
}

}  // namespace

const bool kGroupAccess = true;

std::string region_folder() { return "/dev/shm"; }

Result create_unnamed(const std::string& folder, uint64_t bytes, uint32_t mode) {
  int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  // The umask must not take away what was asked for, nor may anything more be given.
  if (::fchmod(fd, static_cast<mode_t>(mode)) != 0) {
    int error = errno;
    ::close(fd);
    return -error;
  }
  if (int error = allocate(fd, bytes); error != 0) {
    ::close(fd);
    return -error;
  }
  return fd;
}

Result publish(int fd, const std::string& path) {
  std::string self = "/proc/self/fd/" + std::to_string(fd);
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return 0;
  if (errno != ENOENT) return -errno;
  // Without /proc; newer kernels permit this for a descriptor of one's own.
  if (::linkat(fd, "", AT_FDCWD, path.c_str(), AT_EMPTY_PATH) == 0) return 0;
  return -errno;
}

void discard(int fd) { close_file(fd); }

bool wait_word(WaitWord& word, uint32_t value, uint64_t timeout_ns) {
  struct timespec timeout;
  timeout.tv_sec = static_cast<time_t>(timeout_ns / 1000000000u);
  timeout.tv_nsec = static_cast<long>(timeout_ns % 1000000000u);
  long rc = ::syscall(SYS_futex, &word.value, FUTEX_WAIT, value, &timeout, nullptr, 0);
  return !(rc != 0 && errno == ETIMEDOUT);
}

void wake_one(WaitWord& word) { ::syscall(SYS_futex, &word.value, FUTEX_WAKE, 1, nullptr, nullptr, 0); }
void wake_all(WaitWord& word) { ::syscall(SYS_futex, &word.value, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

uint64_t random_64() {
  uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != sizeof value) value = now_ns() * 0x9e3779b97f4a7c15u;
  return value;
}

}  // namespace isthmus::platform

#endif
