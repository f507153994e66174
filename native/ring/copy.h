// Copies between the ring and private memory.
#pragma once

#include <cstdint>
#include <cstring>

namespace isthmus {

#if defined(__SANITIZE_THREAD__)
// A receiver of a channel that drops may read what is being overwritten; it finds out afterwards and
// throws the copy away. ThreadSanitizer cannot know that, so under it such copies are made of atomics.
inline void copy_contested(uint8_t* to, const uint8_t* from, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes; i++) {
    __atomic_store_n(to + i, __atomic_load_n(from + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
  }
}
#else
inline void copy_contested(uint8_t* to, const uint8_t* from, uint64_t bytes) { std::memcpy(to, from, bytes); }
#endif

/** The line will be written soon: fetch it as our own now. */
inline void prefetch_for_write(const uint8_t* at) {
#if defined(__x86_64__) || defined(__i386__)
  // The builtin would fetch it to read, and the write would have to ask for it again.
  asm volatile("prefetchw %0" : : "m"(*at));
#else
  __builtin_prefetch(at, 1);
#endif
}

inline void copy_bytes(uint8_t* to, const uint8_t* from, uint64_t bytes, bool contested) {
  if (bytes == 0) return;  // the place may be null then
  if (contested) copy_contested(to, from, bytes);
  else std::memcpy(to, from, bytes);
}

}  // namespace isthmus
