// Sleeping and waking. A gate's flags say whether anybody sleeps; whoever makes something happen looks at
// them after a full fence, and the sleeper looks again after having set them: one of the two sees the other.
// A waker may be killed between clearing the flags and waking, so no sleep is without a bound.
#include <cerrno>

#include "channel.h"
#include "fault.h"

namespace isthmus {
namespace {
/** About 1.5 µs of looking: longer than an answer takes from another core, and on one core the other waits for it. */
constexpr int kSpinRounds = 16;
/** Between two looks, about 0.1 µs: half of it comes on top of each message on its way. */
constexpr int kSpinPauses = 4;
/** However busy the machine, a spin ends after so long: the event loop has other things to do. */
constexpr uint64_t kLongestSpinNs = 1000000;
}

Gate& Channel::gate_of(Wait what) const {
  Region* r = region();
  return what == Wait::data ? r->data : what == Wait::space ? r->space : r->presence;
}

bool Channel::data_waiting() const {
  return region()->heads.head.load(std::memory_order_acquire) != cursor_;
}

bool Channel::ready(Wait what) const {
  if (what == Wait::data) return data_waiting() || peer(slot_).state.load(std::memory_order_relaxed) == kEvicted;
  if (what == Wait::presence) return changes() != seen_changes_;
  // Space: the sender that found no room remembered the minimum; any movement is worth another attempt.
  const uint32_t used = region()->registry.slots_used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < used && i < kMaxPeers; i++) {
    const Peer& p = peer(i);
    if (!(p.role.load(std::memory_order_relaxed) & kReceiver) || p.state.load(std::memory_order_acquire) != kActive) continue;
    if (p.cursor.load(std::memory_order_acquire) <= min_cursor_) return false;
  }
  return true;
}

bool Channel::spin(Wait what, uint64_t ns) {
  const uint64_t began = platform::now_ns();
  uint64_t spent = 0, since = began;
  do {
    for (int i = 0; i < kSpinRounds; i++) {
      if (ready(what)) return true;
      for (int k = 0; k < kSpinPauses; k++) platform::pause_processor();
    }
    // The time that others have while we give way is not ours: a spin that ends because they had it would
    // send a receiver to sleep just when the sender has begun to work.
    spent += platform::now_ns() - since;
    // Without giving way a receiver that spins takes the processor from the sender it waits for.
    platform::yield_processor();
    since = platform::now_ns();
  } while (spent < ns && since - began < kLongestSpinNs);
  return ready(what);
}

bool Channel::wait(Wait what, uint64_t timeout_ns) {
  Gate& gate = gate_of(what);
  uint32_t sequence = gate.sequence.value.load(std::memory_order_acquire);
  gate.flags.fetch_or(kGateThreads, std::memory_order_seq_cst);
  // Pairs with the fence of notify: we see the news, or the other sees our flag.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!ready(what)) {
    FAULT("wait.armed");
    platform::wait_word(gate.sequence, sequence, timeout_ns);
  }
  return what == Wait::presence ? presence_changed() : ready(what);
}

/** True once for each change; read once, so that none is taken for seen that came between two looks. */
bool Channel::presence_changed() {
  const uint32_t now = changes();
  const bool news = now != seen_changes_;
  seen_changes_ = now;
  return news;
}

bool Channel::arm(Wait what) {
  if (what == Wait::data && !assemblies_.empty()) forget_unfinished();
  Gate& gate = gate_of(what);
  gate.armed[slot_ / 64].fetch_or(1ull << (slot_ % 64), std::memory_order_seq_cst);
  gate.flags.fetch_or(kGateBells, std::memory_order_seq_cst);
  // Pairs with the fence of notify.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return what == Wait::presence ? presence_changed() : ready(what);
}

void Channel::disarm(Wait what) {
  gate_of(what).armed[slot_ / 64].fetch_and(~(1ull << (slot_ % 64)), std::memory_order_relaxed);
}

/** `made`: the exchange of unlock came just before, which on x86 is a full fence already. */
void Channel::notify_data(Fence fence) {
#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64)
  const bool made = fence == Fence::made;
#else
  const bool made = false;
  (void)fence;
#endif
  // Pairs with the fences of wait and arm.
  if (made) std::atomic_signal_fence(std::memory_order_seq_cst);
  else std::atomic_thread_fence(std::memory_order_seq_cst);
  Gate& gate = region()->data;
  if (gate.flags.load(std::memory_order_relaxed) != 0) wake(gate, true);
}

/**
 * Called when the cursor was published. Senders are woken when half of the ring is free: then they have
 * something to do for as long as waking them takes, and any record finds its place. Of two receivers that
 * move at the same time at least one sees where both are.
 */
void Channel::notify_space() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Gate& gate = region()->space;
  if (gate.flags.load(std::memory_order_relaxed) == 0) return;
  const uint64_t head = region()->heads.head.load(std::memory_order_relaxed);
  const uint64_t slowest = slowest_cursor();
  if (slowest < head && head - slowest > capacity_ / 2) return;
  wake(gate, false);
}

void Channel::notify_presence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Gate& gate = region()->presence;
  if (gate.flags.load(std::memory_order_relaxed) != 0) wake(gate, false);
}

void Channel::wake(Gate& gate, bool after_data) {
  uint32_t flags = gate.flags.exchange(0, std::memory_order_seq_cst);
  if (after_data) FAULT("send.before-wake");
  else FAULT("receive.before-wake");
  if (flags & kGateThreads) {
    gate.sequence.value.fetch_add(1, std::memory_order_release);
    platform::wake_all(gate.sequence);
  }
  if (!(flags & kGateBells)) return;
  for (uint32_t word = 0; word < kMaxPeers / 64; word++) {
    if (gate.armed[word].load(std::memory_order_relaxed) == 0) continue;
    uint64_t bits = gate.armed[word].exchange(0, std::memory_order_seq_cst);
    while (bits) {
      uint32_t bit = static_cast<uint32_t>(__builtin_ctzll(bits));
      bits &= bits - 1;
      ring(word * 64 + bit);
    }
  }
}

/**
 * Wakes whoever sleeps at the gate, whatever its flags say: a waker that was killed between taking the flags
 * and waking has left sleepers that nobody knows of. Bells are rung of those who have read less than `below`.
 */
void Channel::rouse(Gate& gate, uint64_t below) {
  gate.sequence.value.fetch_add(1, std::memory_order_release);
  platform::wake_all(gate.sequence);
  const uint32_t used = region()->registry.slots_used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < used && i < kMaxPeers; i++) {
    if ((claimed_ && i == slot_) || peer(i).state.load(std::memory_order_acquire) == kFree) continue;
    if (peer(i).cursor.load(std::memory_order_relaxed) < below) ring(i);
  }
}

void Channel::ring(uint32_t slot) {
  if (bell_ends_.size() <= slot) bell_ends_.resize(slot + 1);
  BellEnd& end = bell_ends_[slot];
  const uint32_t generation = peer(slot).generation.load(std::memory_order_acquire);
  for (int attempt = 0; attempt < 2; attempt++) {
    if (end.fd >= 0 && end.generation == generation && platform::ring_bell(end.fd) == 0) return;
    platform::close_file(end.fd);
    end.fd = platform::open_bell(file_.bell_path(slot));
    end.generation = generation;
    // Nobody listens: a handle that died, or one whose bound will wake it.
    if (end.fd < 0) {
      end.fd = -1;
      return;
    }
  }
}

Status Channel::bell_fd() {
  if (!claimed_) return -EBADF;
  if (bell_ >= 0) {
    platform::close_file(bell_);
    bell_ = -1;
  }
  int fd = platform::create_bell(file_.bell_path(slot_), constants().mode & 0660);
  if (fd < 0) return fd;
  FAULT("bell.created");
  platform::FileFacts facts;
  platform::facts_of(fd, facts);
  bell_inode_ = facts.inode;
  bell_ = platform::open_bell(file_.bell_path(slot_));
  return fd;
}

bool Channel::bell_is_lost() const {
  platform::FileFacts facts;
  if (bell_inode_ == 0) return false;
  return platform::facts_of_path(file_.bell_path(slot_), facts) != 0 || facts.inode != bell_inode_;
}

}  // namespace isthmus
