// What the ring needs from the operating system, and nothing else: a mapped file, byte locks that the
// system itself releases when their holder dies, waiting on a word of shared memory, a doorbell that an
// event loop can be woken by, a clock. linux.cc and macos.cc, with posix.cc for what the two do alike, and
// windows*.cc; nothing else of the ring asks which system it is on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace isthmus::platform {

/**
 * Failures are a negative errno, success is 0 or what the function says. A file or a bell is an int
 * everywhere: a descriptor, or on Windows a handle, of which the system promises that 32 bits suffice.
 */
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

/**
 * A word of shared memory that threads of several processes sleep on. The counts beside it are for a system
 * that has no such thing (Windows) and must know how many sleep; elsewhere they stay 0.
 */
struct WaitWord {
  std::atomic<uint32_t> value;
  std::atomic<uint32_t> sleepers[4];
};

/** Whether a region can be opened to the user's group. */
extern const bool kGroupAccess;

/** The folder where regions and doorbells lie; its parts are joined by `/` everywhere. */
std::string region_folder();
uint32_t user_id();
uint32_t group_id();
int32_t process_id();

/**
 * A new file of zeros without a name (or with one that nobody looks for): nobody finds it before `publish`.
 * All of its bytes are allocated.
 */
Result create_unnamed(const std::string& folder, uint64_t bytes, uint32_t mode);
/** Gives it its name. -EEXIST when somebody was first. */
Result publish(int fd, const std::string& path);
/** Closes, and removes, a file that was not published. */
void discard(int fd);
/** Opens without following a symbolic link; the descriptor is not inherited. */
Result open_existing(const std::string& path);
Result facts_of(int fd, FileFacts& facts);
Result facts_of_path(const std::string& path, FileFacts& facts);
Result map(int fd, size_t bytes, Mapping& mapping);
/** Tells the number, known to its members alone, by which this region's objects of the system are named. */
void name_mapping(const Mapping& mapping, uint64_t nonce);
void unmap(Mapping& mapping);
void close_file(int fd);
/** The name is free afterwards, whoever has the file open or mapped. */
Result remove_file(const std::string& path);
std::vector<std::string> list_folder(const std::string& folder, const std::string& prefix);

enum class LockKind { shared, exclusive };
/** Locks one byte for this descriptor without waiting; -EAGAIN when another descriptor holds it. */
Result lock_byte(int fd, uint64_t byte, LockKind kind);
void unlock_byte(int fd, uint64_t byte);
/** True when a descriptor other than this one holds the byte. */
bool byte_is_held(int fd, uint64_t byte);

/** Sleeps while the word has this value; gives false when the time ran out. May return early. */
bool wait_word(WaitWord& word, uint32_t value, uint64_t timeout_ns);
/** Wakes one, or all. The value was changed before. */
void wake_one(WaitWord& word);
void wake_all(WaitWord& word);

/**
 * The listening end: a FIFO's descriptor that becomes readable when rung; on Windows an event, which no path
 * leads to. Replaces what stands at the path.
 */
Result create_bell(const std::string& path, uint32_t mode);
/** The ringing end; -ENXIO when nobody listens. */
Result open_bell(const std::string& path);
Result ring_bell(int fd);

/**
 * For a bell that is no descriptor: calls `rung` on a thread of the system's after each ring. Null where a
 * bell is read like a file.
 */
struct BellWatch;
BellWatch* watch_bell(int bell, void (*rung)(void*), void* data);
/** When it returns, `rung` is not running and is not called again. */
void unwatch_bell(BellWatch* watch);

uint64_t now_ns();
void sleep_ns(uint64_t ns);
void yield_processor();
uint64_t random_64();
/** Whether the environment of this process, as the program has it now, says 1. */
bool is_switched_on(const char* variable);

#ifdef ISTHMUS_FAULT_POINTS
/** Ends (or stops) this process as a kill does. */
void end_process(bool stop_only);
#endif

inline void pause_processor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace isthmus::platform
