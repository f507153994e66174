// What the ring needs from the operating system, and nothing else: a mapped file, byte locks that the
// system itself releases when their holder dies, waiting on a word of shared memory, a doorbell that an
// event loop can read, a clock. One file beside this for each system.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace isthmus::platform {

/** Failures are a negative errno, success is 0 or what the function says. */
using Result = int;

struct Mapping {
  uint8_t* base = nullptr;
  size_t bytes = 0;
};

struct FileFacts {
  uint64_t inode = 0;
  uint64_t device = 0;
  uint64_t bytes = 0;
  uint32_t owner = 0;
  uint32_t group = 0;
  uint32_t mode = 0;
  uint32_t links = 0;
  bool regular = false;
};

/** The folder where regions and doorbells lie. */
std::string region_folder();
uint32_t user_id();
uint32_t group_id();
int32_t process_id();

/** A new file without a name: nobody can see it before `publish`. All of its bytes are allocated. */
Result create_unnamed(const std::string& folder, uint64_t bytes, uint32_t mode);
/** Gives it its name. -EEXIST when somebody was first. */
Result publish(int fd, const std::string& path);
/** Opens without following a symbolic link; the descriptor is not inherited. */
Result open_existing(const std::string& path);
Result facts_of(int fd, FileFacts& facts);
Result facts_of_path(const std::string& path, FileFacts& facts);
Result map(int fd, size_t bytes, Mapping& mapping);
void unmap(Mapping& mapping);
void close_file(int fd);
Result remove_file(const std::string& path);
std::vector<std::string> list_folder(const std::string& folder, const std::string& prefix);

enum class LockKind { shared, exclusive };
/** Locks one byte for this descriptor without waiting; -EAGAIN when another descriptor holds it. */
Result lock_byte(int fd, uint64_t byte, LockKind kind);
void unlock_byte(int fd, uint64_t byte);
/** True when a descriptor other than this one holds the byte. */
bool byte_is_held(int fd, uint64_t byte);

/** Sleeps while the word has this value; gives false when the time ran out. May return early. */
bool wait_word(std::atomic<uint32_t>& word, uint32_t value, uint64_t timeout_ns);
void wake_words(std::atomic<uint32_t>& word, int count);

/** The listening end: a descriptor that becomes readable when rung. Replaces what stands at the path. */
Result create_bell(const std::string& path, uint32_t mode);
/** The ringing end; -ENXIO when nobody listens. */
Result open_bell(const std::string& path);
Result ring_bell(int fd);

uint64_t now_ns();
void sleep_ns(uint64_t ns);
void yield_processor();
uint64_t random_64();

inline void pause_processor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace isthmus::platform
