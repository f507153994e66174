// What Linux and macOS do alike: mapped files, locks of the open file description, FIFOs, the clock.
#ifndef _WIN32

#include "platform.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef ISTHMUS_ONE_MAPPING
#include <map>
#include <mutex>
#endif

// macOS has had these locks since 10.11, and names them in its headers since 15.
#if defined(__APPLE__) && !defined(F_OFD_SETLK)
#define F_OFD_SETLK 90
#define F_OFD_GETLK 92
#endif

namespace isthmus::platform {
namespace {

FileFacts facts_from(const struct stat& s) {
  FileFacts facts;
  facts.inode = s.st_ino;
  facts.device = s.st_dev;
  facts.bytes = static_cast<uint64_t>(s.st_size);
  facts.owner = s.st_uid;
  facts.group = s.st_gid;
  facts.mode = s.st_mode & 07777;
  facts.links = static_cast<uint32_t>(s.st_nlink);
  facts.regular = S_ISREG(s.st_mode);
  return facts;
}

struct flock byte_range(short type, uint64_t byte) {
  struct flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(byte);
  range.l_len = 1;
  return range;
}

}  // namespace

uint32_t user_id() { return ::geteuid(); }
uint32_t group_id() { return ::getegid(); }
int32_t process_id() { return ::getpid(); }

Result open_existing(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

Result facts_of(int fd, FileFacts& facts) {
  struct stat s;
  if (::fstat(fd, &s) != 0) return -errno;
  facts = facts_from(s);
  return 0;
}

Result facts_of_path(const std::string& path, FileFacts& facts) {
  struct stat s;
  if (::lstat(path.c_str(), &s) != 0) return -errno;
  facts = facts_from(s);
  return 0;
}

#ifdef ISTHMUS_ONE_MAPPING
// ThreadSanitizer sees addresses, not pages: handles of one process must share one mapping for it to
// see their races. Only for its tests.
namespace {
std::mutex shared_mutex;
struct Shared {
  Mapping mapping;
  int users;
};
std::map<uint64_t, Shared> shared_mappings;
}  // namespace

Result map(int fd, size_t bytes, Mapping& mapping) {
  std::lock_guard<std::mutex> guard(shared_mutex);
  FileFacts facts;
  facts_of(fd, facts);
  auto found = shared_mappings.find(facts.inode);
  if (found == shared_mappings.end()) {
    void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) return -errno;
    found = shared_mappings.emplace(facts.inode, Shared{{static_cast<uint8_t*>(base), bytes}, 0}).first;
  }
  found->second.users++;
  mapping = found->second.mapping;
  return 0;
}

void unmap(Mapping& mapping) {
  std::lock_guard<std::mutex> guard(shared_mutex);
  for (auto it = shared_mappings.begin(); it != shared_mappings.end(); ++it) {
    if (it->second.mapping.base != mapping.base) continue;
    if (--it->second.users == 0) {
      ::munmap(mapping.base, mapping.bytes);
      shared_mappings.erase(it);
    }
    break;
  }
  mapping = Mapping{};
}
#else
Result map(int fd, size_t bytes, Mapping& mapping) {
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return -errno;
  mapping.base = static_cast<uint8_t*>(base);
  mapping.bytes = bytes;
  return 0;
}

void unmap(Mapping& mapping) {
  if (mapping.base) ::munmap(mapping.base, mapping.bytes);
  mapping = Mapping{};
}
#endif

void name_mapping(const Mapping&, uint64_t) {}

void close_file(int fd) {
  if (fd >= 0) ::close(fd);
}

Result remove_file(const std::string& path) { return ::unlink(path.c_str()) == 0 ? 0 : -errno; }

std::vector<std::string> list_folder(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(folder.c_str());
  if (!dir) return names;
  while (struct dirent* entry = ::readdir(dir)) {
    std::string name = entry->d_name;
    if (name.compare(0, prefix.size(), prefix) == 0) names.push_back(name);
  }
  ::closedir(dir);
  return names;
}

Result lock_byte(int fd, uint64_t byte, LockKind kind) {
  struct flock range = byte_range(kind == LockKind::shared ? F_RDLCK : F_WRLCK, byte);
  if (::fcntl(fd, F_OFD_SETLK, &range) == 0) return 0;
  return errno == EACCES ? -EAGAIN : -errno;
}

void unlock_byte(int fd, uint64_t byte) {
  struct flock range = byte_range(F_UNLCK, byte);
  ::fcntl(fd, F_OFD_SETLK, &range);
}

bool byte_is_held(int fd, uint64_t byte) {
  struct flock range = byte_range(F_WRLCK, byte);
  if (::fcntl(fd, F_OFD_GETLK, &range) != 0) return true;
  return range.l_type != F_UNLCK;
}

Result create_bell(const std::string& path, uint32_t mode) {
  for (int attempt = 0; attempt < 3; attempt++) {
    ::unlink(path.c_str());
    if (::mkfifo(path.c_str(), 0600) != 0) return -errno;
    int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    // Somebody who tidied up took it for abandoned before we listened.
    if (fd < 0 && errno == ENOENT) continue;
    if (fd < 0) return -errno;
    if (mode != 0600) ::fchmod(fd, static_cast<mode_t>(mode));
    return fd;
  }
  return -ENOENT;
}

Result open_bell(const std::string& path) {
  int fd = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return -errno;
#ifdef F_SETNOSIGPIPE
  ::fcntl(fd, F_SETNOSIGPIPE, 1);
#endif
  struct stat s;
  if (::fstat(fd, &s) == 0 && S_ISFIFO(s.st_mode)) return fd;
  ::close(fd);
  return -EINVAL;
}

Result ring_bell(int fd) {
  // A full FIFO is a bell that rings already. SIGPIPE is ignored by every runtime that we live in.
  char one = 1;
  if (::write(fd, &one, 1) == 1 || errno == EAGAIN) return 0;
  return -errno;
}

BellWatch* watch_bell(int, void (*)(void*), void*) { return nullptr; }
void unwatch_bell(BellWatch*) {}

uint64_t now_ns() {
  struct timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

void sleep_ns(uint64_t ns) {
  struct timespec t = {static_cast<time_t>(ns / 1000000000u), static_cast<long>(ns % 1000000000u)};
  ::nanosleep(&t, nullptr);
}

void yield_processor() { ::sched_yield(); }

bool is_switched_on(const char* variable) {
  const char* said = ::getenv(variable);
  return said && ::strcmp(said, "1") == 0;
}

#ifdef ISTHMUS_FAULT_POINTS
void end_process(bool stop_only) { ::raise(stop_only ? SIGSTOP : SIGKILL); }
#endif

}  // namespace isthmus::platform

#endif
