// The lock around reserve, copy and publish. Its word names the owner, so that whoever waits can ask the
// system whether the owner lives; after a theft there is nothing to repair, because what the dead owner
// had not published does not exist.
#include "channel.h"
#include "fault.h"

namespace isthmus {
namespace {
constexpr uint32_t kWaiters = 1u << 31;
constexpr int kPauses = 40;
constexpr uint64_t kSliceNs = 10 * 1000000;
}  // namespace

bool Channel::owner_is_dead(uint32_t word) {
  uint32_t slot = (word & 0xfff) - 1;
  if (slot >= kMaxPeers) return true;
  uint32_t generation = (word >> 12) & 0x7ffff;
  if ((peer(slot).generation.load(std::memory_order_acquire) & 0x7ffff) != generation) return true;
  if (slot == slot_) return false;
  return !platform::byte_is_held(file_.fd(), kPeerByte + slot);
}

Status Channel::lock(uint64_t timeout_ns) {
  std::atomic<uint32_t>& word = region()->lock.word.value;
  const uint32_t mine = (slot_ + 1) | ((generation_ & 0x7ffff) << 12);
  uint32_t seen = 0;
  // acquire: pairs with the release of unlock, so that all that the last owner wrote is seen.
  if (word.compare_exchange_strong(seen, mine, std::memory_order_acquire, std::memory_order_relaxed)) {
    FAULT("lock.taken");
    return kOk;
  }
  for (int i = 0; i < kPauses; i++) {
    platform::pause_processor();
    seen = 0;
    if (word.load(std::memory_order_relaxed) == 0 &&
        word.compare_exchange_strong(seen, mine, std::memory_order_acquire, std::memory_order_relaxed)) {
      FAULT("lock.taken");
      return kOk;
    }
  }
  const uint64_t deadline = platform::now_ns() + timeout_ns;
  uint64_t next_probe = platform::now_ns() + kSliceNs;
  for (;;) {
    seen = word.load(std::memory_order_relaxed);
    // Having waited, we cannot know who else waits: take it with the mark.
    if (seen == 0) {
      if (word.compare_exchange_strong(seen, mine | kWaiters, std::memory_order_acquire)) break;
      continue;
    }
    uint64_t now = platform::now_ns();
    if (now >= next_probe) {
      next_probe = now + kSliceNs;
      if (owner_is_dead(seen) && word.compare_exchange_strong(seen, mine | kWaiters, std::memory_order_acquire)) break;
      continue;
    }
    if (now >= deadline) return kBusy;
    if (!(seen & kWaiters) && !word.compare_exchange_strong(seen, seen | kWaiters, std::memory_order_relaxed)) continue;
    uint64_t slice = next_probe - now;
    platform::wait_word(region()->lock.word, seen | kWaiters, deadline - now < slice ? deadline - now : slice);
  }
  FAULT("lock.taken");
  return kOk;
}

void Channel::unlock() {
  std::atomic<uint32_t>& word = region()->lock.word.value;
  // An exchange in any case: on x86 notify_data relies on it for its fence.
  uint32_t was = word.exchange(0, std::memory_order_release);
  if (was & kWaiters) {
    FAULT("lock.before-wake");
    platform::wake_one(region()->lock.word);
  }
}

}  // namespace isthmus
