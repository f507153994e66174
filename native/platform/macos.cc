// The platform layer for macOS, beside posix.cc. There is no tmpfs, and what shm_open gives can neither be
// locked nor listed: regions are files in a folder of the user's own. Compiled, not yet run: see
// docs/shared-memory.md.
#ifdef __APPLE__

#include "platform.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <unistd.h>

namespace isthmus::platform {
namespace {

const char kNewPrefix[] = "isthmus-new-";
constexpr time_t kAbandonedSeconds = 60;

/** The folder must be ours alone: who may write to it may put another file in the place of a region. */
Result check_folder(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return -errno;
  struct stat s;
  if (::lstat(folder.c_str(), &s) != 0) return -errno;
  if (!S_ISDIR(s.st_mode) || s.st_uid != ::geteuid() || (s.st_mode & 0077) != 0) return -EPERM;
  return 0;
}

/** Removes what was killed between `create_unnamed` and `publish`. Nobody takes a minute for that. */
void remove_unpublished(const std::string& folder) {
  for (const std::string& name : list_folder(folder, kNewPrefix)) {
    const std::string path = folder + "/" + name;
    struct stat s;
    if (::lstat(path.c_str(), &s) == 0 && ::time(nullptr) - s.st_birthtimespec.tv_sec > kAbandonedSeconds) {
      ::unlink(path.c_str());
    }
  }
}

std::string path_of(int fd) {
  char path[MAXPATHLEN];
  return ::fcntl(fd, F_GETPATH, path) == 0 ? path : "";
}

// Since 14.4 waiting on shared memory is a public call; before, the C++ library's own way. Looked up when
// first needed, so that one binary runs on both.
using SyncWait = int (*)(void*, uint64_t, size_t, uint32_t, uint32_t, uint64_t);
using SyncWake = int (*)(void*, size_t, uint32_t);
using UlockWait = int (*)(uint32_t, void*, uint64_t, uint32_t);
using UlockWake = int (*)(uint32_t, void*, uint64_t);
constexpr uint32_t kSyncShared = 1, kSyncAbsoluteTime = 32;
constexpr uint32_t kUlockShared = 3, kUlockWakeAll = 0x100, kUlockNoErrno = 0x01000000;

struct Waiting {
  SyncWait sync_wait;
  SyncWake sync_wake_one, sync_wake_all;
  UlockWait ulock_wait;
  UlockWake ulock_wake;
};

template <typename F>
F look_up(const char* name) {
  return reinterpret_cast<F>(::dlsym(RTLD_DEFAULT, name));
}

const Waiting& waiting() {
  static const Waiting found = [] {
    Waiting w = {look_up<SyncWait>("os_sync_wait_on_address_with_timeout"),
                 look_up<SyncWake>("os_sync_wake_by_address_any"), look_up<SyncWake>("os_sync_wake_by_address_all"),
                 look_up<UlockWait>("__ulock_wait"), look_up<UlockWake>("__ulock_wake")};
    // All processes of one machine come to the same answer, so they wake each other.
    if (!w.sync_wait || !w.sync_wake_one || !w.sync_wake_all) w.sync_wait = nullptr;
    if (!w.ulock_wait || !w.ulock_wake) w.ulock_wait = nullptr;
    return w;
  }();
  return found;
}

}  // namespace

const bool kGroupAccess = false;

std::string region_folder() {
  // The user's own, whatever the environment says, and not the one whose old files are swept every few days.
  char parent[PATH_MAX];
  const size_t length = ::confstr(_CS_DARWIN_USER_CACHE_DIR, parent, sizeof parent);
  if (length == 0 || length > sizeof parent) return "/private/tmp/isthmus-" + std::to_string(::geteuid());
  std::string folder = parent;
  if (folder.back() != '/') folder += '/';
  return folder + "isthmus";
}

Result create_unnamed(const std::string& folder, uint64_t bytes, uint32_t mode) {
  const Result checked = check_folder(folder);
  if (checked != 0) return checked;
  remove_unpublished(folder);
  char name[48];
  snprintf(name, sizeof name, "/%s%016llx", kNewPrefix, static_cast<unsigned long long>(random_64()));
  const std::string path = folder + name;
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return -errno;
  // ftruncate alone leaves holes, and a full disk would be met by the first write into the mapping.
  fstore_t room = {F_ALLOCATEALL, F_PEOFPOSMODE, 0, static_cast<off_t>(bytes), 0};
  if (::fcntl(fd, F_PREALLOCATE, &room) == 0 && ::ftruncate(fd, static_cast<off_t>(bytes)) == 0 &&
      ::fchmod(fd, static_cast<mode_t>(mode)) == 0) {
    return fd;
  }
  const int error = errno;
  ::unlink(path.c_str());
  ::close(fd);
  return -error;
}

Result publish(int fd, const std::string& path) {
  // One step, so that there is never a file of two names to tidy up.
  if (::renamex_np(path_of(fd).c_str(), path.c_str(), RENAME_EXCL) == 0) return 0;
  // Who took so long that it was tidied away begins anew, as does who came second.
  return errno == ENOENT ? -EEXIST : -errno;
}

void discard(int fd) {
  const std::string path = path_of(fd);
  if (path.find(kNewPrefix) != std::string::npos) ::unlink(path.c_str());
  close_file(fd);
}

bool wait_word(WaitWord& word, uint32_t value, uint64_t timeout_ns) {
  const Waiting& w = waiting();
  if (w.sync_wait) {
    const int rc = w.sync_wait(&word.value, value, sizeof(uint32_t), kSyncShared, kSyncAbsoluteTime, timeout_ns ? timeout_ns : 1);
    return !(rc < 0 && errno == ETIMEDOUT);
  }
  if (w.ulock_wait) {
    // Zero would mean without end.
    const uint64_t micros = timeout_ns / 1000 + 1;
    const uint32_t bounded = micros < UINT32_MAX ? static_cast<uint32_t>(micros) : UINT32_MAX;
    return w.ulock_wait(kUlockShared | kUlockNoErrno, &word.value, value, bounded) != -ETIMEDOUT;
  }
  sleep_ns(timeout_ns < 1000000 ? timeout_ns : 1000000);
  return true;
}

void wake_one(WaitWord& word) {
  const Waiting& w = waiting();
  if (w.sync_wait) w.sync_wake_one(&word.value, sizeof(uint32_t), kSyncShared);
  else if (w.ulock_wait) w.ulock_wake(kUlockShared | kUlockNoErrno, &word.value, 0);
}

void wake_all(WaitWord& word) {
  const Waiting& w = waiting();
  if (w.sync_wait) w.sync_wake_all(&word.value, sizeof(uint32_t), kSyncShared);
  else if (w.ulock_wait) w.ulock_wake(kUlockShared | kUlockWakeAll | kUlockNoErrno, &word.value, 0);
}

uint64_t random_64() {
  uint64_t value;
  ::arc4random_buf(&value, sizeof value);
  return value;
}

}  // namespace isthmus::platform

#endif
