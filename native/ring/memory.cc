// Blocks of a power of two, kept by size. What was never needed between two trims goes back to the system.
#include "memory.h"

#include <cstdlib>
#include <mutex>
#include <vector>

#include "../platform/platform.h"

namespace isthmus {
namespace {

constexpr int kSmallestBits = 14;
constexpr int kLargestBits = 24;
static_assert(kLargestKeptBytes == 1u << kLargestBits, "the largest class is the largest block kept");
/** As much as V8 lets young buffers hold before it collects them, twice. */
constexpr size_t kMostKeptBytes = 64 << 20;
constexpr uint64_t kTrimNs = 1000000000;

struct SizeClass {
  std::vector<uint8_t*> blocks;
  /** The fewest blocks that were here since the last trim: nobody needed those. */
  size_t spare = 0;
};

struct Store {
  std::mutex mutex;
  SizeClass classes[kLargestBits - kSmallestBits + 1];
  size_t kept_bytes = 0;
  uint64_t trimmed_ns = 0;
};

// Never destroyed: finalizers of buffers run until the very end of the process.
Store& store() {
  static Store* only = new Store;
  return *only;
}

int class_of(size_t bytes) {
  int bits = kSmallestBits;
  while ((size_t{1} << bits) < bytes) bits++;
  return bits - kSmallestBits;
}

size_t class_bytes(int index) { return size_t{1} << (index + kSmallestBits); }

}  // namespace

uint8_t* take_memory(size_t bytes) {
  if (bytes > kLargestKeptBytes) return static_cast<uint8_t*>(std::malloc(bytes));
  const int index = class_of(bytes);
  Store& s = store();
  {
    std::lock_guard<std::mutex> guard(s.mutex);
    SizeClass& c = s.classes[index];
    if (!c.blocks.empty()) {
      uint8_t* block = c.blocks.back();
      c.blocks.pop_back();
      s.kept_bytes -= class_bytes(index);
      if (c.blocks.size() < c.spare) c.spare = c.blocks.size();
      return block;
    }
  }
  return static_cast<uint8_t*>(std::malloc(class_bytes(index)));
}

void give_memory(uint8_t* block, size_t bytes) {
  if (!block) return;
  if (bytes <= kLargestKeptBytes) {
    const int index = class_of(bytes);
    Store& s = store();
    std::lock_guard<std::mutex> guard(s.mutex);
    if (s.kept_bytes + class_bytes(index) <= kMostKeptBytes) {
      s.classes[index].blocks.push_back(block);
      s.kept_bytes += class_bytes(index);
      return;
    }
  }
  std::free(block);
}

void trim_memory() {
  Store& s = store();
  const uint64_t now = platform::now_ns();
  std::lock_guard<std::mutex> guard(s.mutex);
  if (now - s.trimmed_ns < kTrimNs) return;
  s.trimmed_ns = now;
  for (int index = 0; index <= kLargestBits - kSmallestBits; index++) {
    SizeClass& c = s.classes[index];
    // From the front: those that were used last lie at the back.
    for (size_t i = 0; i < c.spare; i++) std::free(c.blocks[i]);
    c.blocks.erase(c.blocks.begin(), c.blocks.begin() + static_cast<std::ptrdiff_t>(c.spare));
    s.kept_bytes -= c.spare * class_bytes(index);
    c.spare = c.blocks.size();
  }
}

}  // namespace isthmus
