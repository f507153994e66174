// Who takes part. A slot belongs to whoever holds its byte lock; the system gives the lock back when the
// holder dies, so nothing is ever decided by a process id. A slot is taken from somebody only after his
// byte lock has been won.
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "channel.h"
#include "fault.h"
#include "memory.h"

namespace isthmus {
namespace {

constexpr uint32_t kFewSlots = 16;
constexpr uint64_t kJoinLockNs = 5ull * 1000000000;

void store_name(Peer& peer, const std::string& name) {
  char bytes[kPeerNameBytes] = {};
  std::memcpy(bytes, name.data(), name.size() < kPeerNameBytes ? name.size() : kPeerNameBytes);
  for (size_t i = 0; i < kPeerNameBytes / 8; i++) {
    uint64_t word;
    std::memcpy(&word, bytes + i * 8, 8);
    peer.name[i].store(word, std::memory_order_relaxed);
  }
}

std::string load_name(const Peer& peer) {
  char bytes[kPeerNameBytes + 1] = {};
  for (size_t i = 0; i < kPeerNameBytes / 8; i++) {
    uint64_t word = peer.name[i].load(std::memory_order_relaxed);
    std::memcpy(bytes + i * 8, &word, 8);
  }
  return std::string(bytes);
}

}  // namespace

Channel::~Channel() { close(); }

Status Channel::open(const RegionOptions& region_options, const HandleOptions& options) {
  Status status = file_.open(region_options);
  if (status != kOk) return status;
  capacity_ = constants().capacity;
  mask_ = capacity_ - 1;
  inline_limit_ = capacity_ / 4 - sizeof(RecordHeader);
  const uint64_t chunk = capacity_ / 4 < kMaxChunkBytes ? capacity_ / 4 : kMaxChunkBytes;
  chunk_limit_ = chunk - sizeof(RecordHeader) - sizeof(ChunkHeader);
  // Each chunk costs up to 64 bytes more than it carries, and the end of the ring up to a chunk.
  const uint64_t room = capacity_ - 2 * chunk_limit_;
  const uint64_t rest = room % (chunk_limit_ + kChunkCost);
  whole_limit_ = room / (chunk_limit_ + kChunkCost) * chunk_limit_ + (rest > kChunkCost ? rest - kChunkCost : 0);
  drops_ = constants().policy != kBlock;
  latest_ = constants().latest != 0;
  keeps_tail_ = drops_ || constants().history > 0;
  // What was remembered of another region says nothing about this one.
  min_cursor_ = loan_bytes_ = last_probe_ns_ = sent_ = 0;
  seen_joins_ = 0;
  stuck_at_ = UINT64_MAX;
  echo_ = options.echo;
  role_ = options.role;
  if (role_ == 0) return kOk;
  if ((role_ & kSender) && constants().type == kRoute) {
    status = platform::lock_byte(file_.fd(), kProducerByte, platform::LockKind::exclusive);
    if (status == -EAGAIN) status = kProducerHeld;
    produces_ = status == kOk;
  }
  if (status == kOk) status = claim(options);
  if (status == kOk) status = join(true);
  if (status != kOk) close();
  return status;
}

/**
 * Asking the system for the lock of every slot in turn would make the thousandth join slow; so those that
 * look free are asked for first. What the dead hold looks taken, and is looked for whenever the slots in use
 * would otherwise double.
 */
Status Channel::claim(const HandleOptions& options) {
  const uint32_t used = region()->registry.slots_used.load(std::memory_order_acquire);
  if (used >= kFewSlots && (used & (used - 1)) == 0) evict_dead();
  for (bool looks_free : {true, false}) {
    for (uint32_t slot = 0; slot < kMaxPeers; slot++) {
      if ((peer(slot).state.load(std::memory_order_relaxed) == kFree) != looks_free) continue;
      if (platform::lock_byte(file_.fd(), kPeerByte + slot, platform::LockKind::exclusive) != 0) continue;
      take_slot(slot, options);
      return kOk;
    }
  }
  return kNoSlot;
}

/** With its byte locked. */
void Channel::take_slot(uint32_t slot, const HandleOptions& options) {
  FAULT("claim.locked");
  Peer& mine = peer(slot);
  // What the last holder left is void before it can be taken for ours.
  heir_ = mine.state.exchange(kFree, std::memory_order_acq_rel) != kFree;
  slot_ = slot;
  generation_ = mine.generation.fetch_add(1, std::memory_order_acq_rel) + 1;
  mine.role.store(role_, std::memory_order_relaxed);
  mine.pid.store(static_cast<uint32_t>(platform::process_id()), std::memory_order_relaxed);
  mine.joined_ms.store(wall_ms(), std::memory_order_relaxed);
  store_name(mine, options.peer_name);
  std::atomic<uint32_t>& used = region()->registry.slots_used;
  uint32_t seen = used.load(std::memory_order_relaxed);
  while (seen < slot + 1 && !used.compare_exchange_weak(seen, slot + 1, std::memory_order_acq_rel)) {
  }
  claimed_ = true;
  FAULT("claim.marked");
}

Status Channel::join(bool with_history) {
  Status status = lock(kJoinLockNs);
  if (status != kOk) return status;
  FAULT("join.locked");
  Region* r = region();
  const Commit* commit = commit_in_force();
  if (!commit) {
    unlock();
    return kCorrupt;
  }
  uint64_t start = r->heads.head.load(std::memory_order_relaxed);
  uint64_t sequence = commit->next_sequence.load(std::memory_order_relaxed);
  if (with_history && (role_ & kReceiver) && constants().history > 0) start = history_start(constants().history, sequence);
  // Whatever the cursor is set from, it stands at the beginning of a record.
  if (start % kRecordAlign != 0) {
    unlock();
    return kCorrupt;
  }
  cursor_ = joined_at_ = start;
  // Who comes back may still hold views, whose places are not to be used again.
  published_ = views_.empty() ? start : views_.front().start;
  cached_head_ = start;
  expected_ = first_ = sequence;
  Peer& mine = peer(slot_);
  mine.cursor.store(published_, std::memory_order_relaxed);
  FAULT("join.cursor");
  mine.state.store(kActive, std::memory_order_release);
  FAULT("join.active");
  r->registry.joins.fetch_add(1, std::memory_order_release);
  r->registry.changes.fetch_add(1, std::memory_order_release);
  FAULT("join.counted");
  seen_changes_ = changes();
  joined_ = true;
  unlock();
  // Nobody else will find the one whose slot this was.
  if (heir_) mourn();
  else notify_presence();
  heir_ = false;
  return kOk;
}

/**
 * Where a late receiver begins, so that it gets the last `count` messages as far as the ring still holds them. A
 * message in chunks has its number from its last one and may begin before older messages end: those are then
 * passed over. Under the lock.
 */
uint64_t Channel::history_start(uint64_t count, uint64_t& sequence) const {
  const uint64_t head = region()->heads.head.load(std::memory_order_relaxed);
  const uint64_t next = sequence;
  const uint64_t wanted = next > count ? next - count : 0;
  const Commit* commit = commit_in_force();
  uint64_t position = region()->heads.tail.load(std::memory_order_relaxed);
  if (latest_ && commit && next > 0) position = commit->last_start.load(std::memory_order_relaxed);
  if (position > head || head - position > capacity_) return head;
  const uint64_t oldest = position;
  uint64_t start = head;
  while (position < head) {
    RecordHeader header;
    uint64_t size;
    if (read_header(position, head, header, size) != kOk) return head;
    uint64_t begin = position;
    if (header.sequence >= wanted && ends_message(header, position, begin) && begin >= oldest && begin <= position) {
      if (sequence > header.sequence) sequence = header.sequence;
      if (start > begin) start = begin;
    }
    position += size;
  }
  return start;
}

Status Channel::rejoin() {
  if (!(role_ & kReceiver)) return kWrongRole;
  // The state changes under the lock alone: should the lock not be had, all is as it was.
  return join(false);
}

/** Without the lock: whoever sends meanwhile may write over the commit that was in force. */
uint64_t Channel::next_sequence() const {
  const Heads& heads = region()->heads;
  uint64_t sequence = 0;
  for (int turn = 0; turn < 100; turn++) {
    const uint64_t head = heads.head.load(std::memory_order_acquire);
    for (const Commit& commit : heads.commit) {
      if (commit.position.load(std::memory_order_relaxed) != head) continue;
      sequence = commit.next_sequence.load(std::memory_order_relaxed);
      // Pairs with the fence of publish.
      std::atomic_thread_fence(std::memory_order_acquire);
      if (heads.head.load(std::memory_order_relaxed) == head) return sequence;
    }
  }
  return sequence;
}

bool Channel::evict_if_dead(uint32_t slot) {
  // Our own byte could be had at once, and would then be given back.
  if (slot == slot_ && claimed_) return false;
  if (platform::lock_byte(file_.fd(), kPeerByte + slot, platform::LockKind::exclusive) != 0) return false;
  FAULT("evict.locked");
  const bool was = peer(slot).state.exchange(kFree, std::memory_order_acq_rel) != kFree;
  FAULT("evict.marked");
  if (was) {
    platform::remove_file(file_.bell_path(slot));
    region()->registry.changes.fetch_add(1, std::memory_order_release);
  }
  platform::unlock_byte(file_.fd(), kPeerByte + slot);
  return was;
}

/** After evictions: whoever the dead should have woken is woken now. */
void Channel::mourn() {
  Region* r = region();
  FAULT("evict.mourning");
  rouse(r->data, r->heads.head.load(std::memory_order_relaxed));
  rouse(r->space, UINT64_MAX);
  notify_presence();
}

int Channel::evict_dead() {
  int dead = 0;
  const uint32_t used = region()->registry.slots_used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < used && i < kMaxPeers; i++) {
    if (peer(i).state.load(std::memory_order_acquire) != kFree && evict_if_dead(i)) dead++;
  }
  if (dead > 0) mourn();
  return dead;
}

uint32_t Channel::count(uint32_t role) {
  evict_dead();
  uint32_t found = 0;
  const uint32_t used = region()->registry.slots_used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < used && i < kMaxPeers; i++) {
    const Peer& p = peer(i);
    if (p.state.load(std::memory_order_acquire) == kActive && (p.role.load(std::memory_order_relaxed) & role)) found++;
  }
  return found;
}

std::vector<PeerInfo> Channel::peers() {
  evict_dead();
  std::vector<PeerInfo> found;
  const uint64_t at = head();
  const uint32_t used = region()->registry.slots_used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < used && i < kMaxPeers; i++) {
    const Peer& p = peer(i);
    PeerInfo info;
    info.slot = i;
    info.state = p.state.load(std::memory_order_acquire);
    if (info.state == kFree) continue;
    info.pid = p.pid.load(std::memory_order_relaxed);
    info.role = p.role.load(std::memory_order_relaxed);
    info.generation = p.generation.load(std::memory_order_relaxed);
    info.joined_ms = p.joined_ms.load(std::memory_order_relaxed);
    const uint64_t cursor = p.cursor.load(std::memory_order_acquire);
    info.lag_bytes = (info.role & kReceiver) && cursor < at ? at - cursor : 0;
    info.name = load_name(p);
    info.alive = true;
    found.push_back(info);
  }
  return found;
}

uint64_t Channel::slowest_cursor() const {
  Region* r = region();
  uint64_t slowest = UINT64_MAX;
  const uint32_t used = r->registry.slots_used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < used && i < kMaxPeers; i++) {
    const Peer& p = peer(i);
    if (p.state.load(std::memory_order_acquire) != kActive) continue;
    if (!(p.role.load(std::memory_order_relaxed) & kReceiver)) continue;
    // acquire: pairs with the release of publish_cursor, so that the copy was made before we overwrite.
    const uint64_t cursor = p.cursor.load(std::memory_order_acquire);
    if (cursor < slowest) slowest = cursor;
  }
  return slowest;
}

void Channel::close() {
  if (!file_.is_open()) return;
  if (claimed_) {
    Peer& mine = peer(slot_);
    mine.left.store(generation_, std::memory_order_relaxed);
    mine.state.store(kFree, std::memory_order_release);
    FAULT("leave.marked");
    Region* r = region();
    r->registry.changes.fetch_add(1, std::memory_order_release);
    disarm(Wait::data);
    disarm(Wait::space);
    disarm(Wait::presence);
    if (bell_inode_ != 0) platform::remove_file(file_.bell_path(slot_));
    FAULT("leave.bell");
    notify_space();
    notify_presence();
    claimed_ = false;
    platform::unlock_byte(file_.fd(), kPeerByte + slot_);
  }
  // Closing the descriptor would not do: a mapping that views keep alive also keeps its locks.
  if (produces_) platform::unlock_byte(file_.fd(), kProducerByte);
  produces_ = false;
  platform::close_file(bell_);
  bell_ = -1;
  bell_inode_ = 0;
  for (BellEnd& end : bell_ends_) platform::close_file(end.fd);
  bell_ends_.clear();
  for (Assembly& assembly : assemblies_) give_memory(assembly.data, assembly.room);
  assemblies_.clear();
  give_memory(large_, large_bytes_);
  large_ = nullptr;
  if (!views_.empty() || loan_bytes_ != 0) file_.leak_mapping();
  views_.clear();
  loan_bytes_ = 0;
  joined_ = false;
  file_.close();
}

}  // namespace isthmus
