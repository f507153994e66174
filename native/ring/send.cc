// Sending: lock, find room, write, publish `head`, unlock, wake. Killed anywhere before the store of
// `head`, the message does not exist; anywhere after it, it does.
#include <cstring>

#include "channel.h"
#include "copy.h"
#include "fault.h"

namespace isthmus {
namespace {
constexpr uint64_t kProbeNs = 10 * 1000000;
/** Long enough to look at an owner that may be dead. */
constexpr uint64_t kLoanLockNs = 20 * 1000000;
/** So far ahead of what is written the ring is fetched from the receivers' caches. */
constexpr uint64_t kPrefetchBytes = 1024;
}

const Commit* Channel::commit_in_force() const {
  const Heads& heads = region()->heads;
  const uint64_t head = heads.head.load(std::memory_order_relaxed);
  for (const Commit& commit : heads.commit) {
    if (commit.position.load(std::memory_order_relaxed) == head) return &commit;
  }
  return nullptr;
}

void Channel::publish(uint64_t position, uint64_t sequence, uint64_t last_start) {
  Heads& heads = region()->heads;
  Commit& other = commit_in_force() == &heads.commit[0] ? heads.commit[1] : heads.commit[0];
  // Pairs with the fence of jump_to_latest: who reads what follows also sees the head before this one.
  std::atomic_thread_fence(std::memory_order_release);
  other.position.store(position, std::memory_order_relaxed);
  other.next_sequence.store(sequence, std::memory_order_relaxed);
  other.last_start.store(last_start, std::memory_order_relaxed);
  FAULT("send.commit");
  // release: pairs with the acquire of head in peek; payload, header and commit come before it.
  heads.head.store(position, std::memory_order_release);
  FAULT("send.published");
}

void Channel::put_record(uint64_t position, uint32_t kind, uint64_t bytes, uint64_t sequence) {
  uint8_t* at = file_.data() + offset_of(position);
  const uint64_t first = bytes | static_cast<uint64_t>(make_tag(static_cast<RecordKind>(kind), slot_, generation_)) << 32;
  __atomic_store_n(reinterpret_cast<uint64_t*>(at), first, __ATOMIC_RELAXED);
  __atomic_store_n(reinterpret_cast<uint64_t*>(at + 8), sequence, __ATOMIC_RELAXED);
}

Status Channel::read_header(uint64_t position, uint64_t limit, RecordHeader& header, uint64_t& size) const {
  const uint64_t offset = offset_of(position);
  if (position % kRecordAlign != 0 || limit - position < sizeof(RecordHeader)) return kCorrupt;
  const uint8_t* at = file_.data() + offset;
  const uint64_t first = __atomic_load_n(reinterpret_cast<const uint64_t*>(at), __ATOMIC_RELAXED);
  header.sequence = __atomic_load_n(reinterpret_cast<const uint64_t*>(at + 8), __ATOMIC_RELAXED);
  header.bytes = static_cast<uint32_t>(first);
  header.tag = static_cast<uint32_t>(first >> 32);
  size = record_bytes(header.bytes);
  const uint32_t kind = kind_of(header.tag);
  if (kind < kPad || kind > kChunk || slot_of(header.tag) >= kMaxPeers || size > limit - position || size > capacity_ - offset) return kCorrupt;
  if (kind == kPad && size != capacity_ - offset) return kCorrupt;
  return kOk;
}

Status Channel::advance_tail(uint64_t limit) {
  Heads& heads = region()->heads;
  const uint64_t head = heads.head.load(std::memory_order_relaxed);
  uint64_t tail = heads.tail.load(std::memory_order_relaxed);
  if (tail > head || head - tail > capacity_) return kCorrupt;
  while (tail < limit) {
    RecordHeader header;
    uint64_t size;
    if (tail >= head || read_header(tail, head, header, size) != kOk) return kCorrupt;
    tail += size;
  }
  // release: pairs with the acquire of resynchronise, which then sees `head` beyond it.
  heads.tail.store(tail, std::memory_order_release);
  FAULT("drop.tail");
  // Pairs with the acquire fence before `overrun`: who reads what overwrites also sees the new tail.
  std::atomic_thread_fence(std::memory_order_release);
  return kOk;
}

/** Does a message end with the record at this position? `begin`: where its first record lies. */
bool Channel::ends_message(const RecordHeader& header, uint64_t position, uint64_t& begin) const {
  begin = position;
  if (kind_of(header.tag) == kData) return true;
  if (kind_of(header.tag) != kChunk || header.bytes < sizeof(ChunkHeader)) return false;
  ChunkHeader chunk;
  const uint8_t* at = file_.data() + offset_of(position) + sizeof(RecordHeader);
  copy_bytes(reinterpret_cast<uint8_t*>(&chunk), at, sizeof chunk, drops_);
  begin = chunk.id;
  return chunk.offset + (header.bytes - sizeof(ChunkHeader)) == chunk.total;
}

void Channel::skip_own() {
  if (echo_ || !(role_ & kReceiver)) return;
  const uint64_t head = region()->heads.head.load(std::memory_order_relaxed);
  // A hostile `head` would have us go round the ring without end.
  if (head - cursor_ > capacity_) return;
  while (cursor_ < head) {
    RecordHeader header;
    uint64_t size;
    if (read_header(cursor_, head, header, size) != kOk) return;
    if (kind_of(header.tag) != kPad && !is_own(header.tag)) break;
    uint64_t begin;
    if (ends_message(header, cursor_, begin)) expected_ = header.sequence + 1;
    cursor_ += size;
  }
  if (cursor_ > cached_head_) cached_head_ = head;
  if (views_.empty() && cursor_ != published_) {
    published_ = cursor_;
    peer(slot_).cursor.store(cursor_, std::memory_order_release);
  }
}

/** With the ring full: frees what the dead hold and, where that is declared, what the slow hold. */
Status Channel::evict_slow(uint64_t limit) {
  const uint64_t now = platform::now_ns();
  const uint32_t used = region()->registry.slots_used.load(std::memory_order_acquire);
  bool changed = false;
  if (now - last_probe_ns_ >= kProbeNs) {
    last_probe_ns_ = now;
    for (uint32_t i = 0; i < used && i < kMaxPeers; i++) {
      const Peer& p = peer(i);
      if (p.state.load(std::memory_order_acquire) == kFree || p.cursor.load(std::memory_order_relaxed) >= limit) continue;
      if (evict_if_dead(i)) changed = true;
    }
    // Nobody has moved since the last look: who should have woken them may be dead.
    if (!changed && min_cursor_ == stuck_at_) rouse(region()->data, limit);
    if (changed) mourn();
    stuck_at_ = min_cursor_;
  }
  if (!changed && constants().policy == kEvictAfter) {
    std::atomic<uint64_t>& since = region()->heads.blocked_since_ns;
    const uint64_t began = since.load(std::memory_order_relaxed);
    if (began == 0 || began > now) since.store(now, std::memory_order_relaxed);
    else if (now - began >= static_cast<uint64_t>(constants().evict_ms) * 1000000) {
      for (uint32_t i = 0; i < used && i < kMaxPeers; i++) {
        Peer& p = peer(i);
        if (!(p.role.load(std::memory_order_relaxed) & kReceiver) || p.cursor.load(std::memory_order_relaxed) >= limit) continue;
        uint32_t active = kActive;
        if (p.state.compare_exchange_strong(active, kEvicted, std::memory_order_acq_rel)) changed = true;
      }
      if (changed) region()->registry.changes.fetch_add(1, std::memory_order_release);
    }
  }
  return changed ? kOk : kFull;
}

/** Has every receiver read what lies below `limit`? Whoever may be passed over or evicted for it, is. */
bool Channel::all_have_read(uint64_t limit) {
  min_cursor_ = slowest_cursor();
  if (min_cursor_ < limit && (role_ & kReceiver)) {
    skip_own();
    min_cursor_ = slowest_cursor();
  }
  if (min_cursor_ < limit && evict_slow(limit) == kOk) min_cursor_ = slowest_cursor();
  return min_cursor_ >= limit;
}

/** Finds `need` bytes in one piece at or after `position`, and moves it there. Under the lock. */
Status Channel::make_room(uint64_t need, uint64_t& position) {
  Region* r = region();
  // A hostile `head` would have us write over the end of the ring.
  if (position % kRecordAlign != 0) return kCorrupt;
  const uint64_t offset = offset_of(position);
  const uint64_t pad = offset + need > capacity_ ? capacity_ - offset : 0;
  const uint64_t end = position + pad + need;
  const uint64_t limit = end > capacity_ ? end - capacity_ : 0;
  if (limit > 0) {
    if (constants().policy != kDropOldest) {
      const uint32_t joins = r->registry.joins.load(std::memory_order_acquire);
      if (joins != seen_joins_ || min_cursor_ < limit) {
        seen_joins_ = joins;
        if (!all_have_read(limit)) return kFull;
      }
      if (drops_ && r->heads.blocked_since_ns.load(std::memory_order_relaxed) != 0) {
        r->heads.blocked_since_ns.store(0, std::memory_order_relaxed);
      }
    }
    if (keeps_tail_) {
      Status status = advance_tail(limit);
      if (status != kOk) return status;
    }
  }
  FAULT("send.room");
  if (pad != 0) {
    const Commit* commit = commit_in_force();
    put_record(position, kPad, pad - sizeof(RecordHeader), commit ? commit->next_sequence.load(std::memory_order_relaxed) : 0);
    FAULT("send.pad");
    position += pad;
  }
  return kOk;
}

Status Channel::send_one(Outgoing& out) {
  const Commit* commit = commit_in_force();
  if (!commit) return kCorrupt;
  uint64_t position = region()->heads.head.load(std::memory_order_relaxed);
  const uint64_t sequence = commit->next_sequence.load(std::memory_order_relaxed);
  const uint64_t size = record_bytes(out.bytes);
  Status status = make_room(size, position);
  if (status != kOk) return status;
  put_record(position, kData, out.bytes, sequence);
  FAULT("send.header");
  prefetch_for_write(file_.data() + offset_of(position + kPrefetchBytes));
  copy_bytes(file_.data() + offset_of(position) + sizeof(RecordHeader), out.data, out.bytes, drops_);
  FAULT("send.payload");
  publish(position + size, sequence + 1, position);
  out.offset = out.bytes;
  sent_++;
  return kOk;
}

Status Channel::send_chunks(Outgoing& out, bool whole) {
  const Commit* commit = commit_in_force();
  if (!commit) return kCorrupt;
  uint64_t position = region()->heads.head.load(std::memory_order_relaxed);
  const uint64_t sequence = commit->next_sequence.load(std::memory_order_relaxed);
  const uint64_t left = out.bytes - out.offset;
  if (whole && !out.begun) {
    // All of it or nothing: room for every chunk, with what the end of the ring may cost.
    const uint64_t chunks = (left + chunk_limit_ - 1) / chunk_limit_;
    const uint64_t need = left + chunks * kChunkCost + 2 * chunk_limit_;
    if (left > whole_limit_) return kTooLarge;
    if (constants().policy != kDropOldest && position + need > capacity_) {
      if (!all_have_read(position + need - capacity_)) return kFull;
    }
  }
  const uint64_t part = left < chunk_limit_ ? left : chunk_limit_;
  const uint64_t size = record_bytes(sizeof(ChunkHeader) + part);
  Status status = make_room(size, position);
  if (status != kOk) return status;
  if (!out.begun) out.id = position;
  const bool last = part == left;
  put_record(position, kChunk, sizeof(ChunkHeader) + part, sequence);
  FAULT("send.header");
  const ChunkHeader chunk = {out.id, out.offset, out.bytes, 0};
  uint8_t* at = file_.data() + offset_of(position) + sizeof(RecordHeader);
  copy_bytes(at, reinterpret_cast<const uint8_t*>(&chunk), sizeof chunk, drops_);
  copy_bytes(at + sizeof chunk, out.data + out.offset, part, drops_);
  FAULT("send.payload");
  publish(position + size, last ? sequence + 1 : sequence, out.id);
  FAULT("chunk.published");
  out.begun = true;
  out.offset += part;
  if (last) sent_++;
  return kOk;
}

Status Channel::send(Outgoing& out, uint64_t lock_ns, bool whole) {
  if (!(role_ & kSender)) return kWrongRole;
  if (out.bytes > kMaxMessageBytes) return kTooLarge;
  const bool chunked = out.bytes > inline_limit_;
  if (chunked && latest_) return kTooLarge;
  do {
    Status status = lock(lock_ns);
    if (status != kOk) return status;
    status = chunked ? send_chunks(out, whole) : send_one(out);
    unlock();
    FAULT("send.unlocked");
    if (status != kOk) return status;
    notify_data(Fence::made);
  } while (out.offset < out.bytes);
  return kOk;
}

Status Channel::send_batch(const uint8_t* slab, uint64_t bytes, uint64_t lock_ns, uint32_t& sent, uint64_t& consumed) {
  sent = 0;
  consumed = 0;
  if (!(role_ & kSender)) return kWrongRole;
  Status status = lock(lock_ns);
  if (status != kOk) return status;
  const Commit* commit = commit_in_force();
  if (!commit) {
    unlock();
    return kCorrupt;
  }
  uint64_t published = region()->heads.head.load(std::memory_order_relaxed);
  uint64_t position = published, last_start = commit->last_start.load(std::memory_order_relaxed);
  uint64_t sequence = commit->next_sequence.load(std::memory_order_relaxed);
  while (bytes - consumed >= sizeof(RecordHeader)) {
    uint32_t length;
    std::memcpy(&length, slab + consumed, sizeof length);
    const uint64_t size = record_bytes(length);
    if (size > bytes - consumed || length > inline_limit_) {
      status = kTooLarge;
      break;
    }
    uint64_t at = position;
    status = make_room(size, at);
    if (status != kOk) break;
    put_record(at, kData, length, sequence++);
    copy_bytes(file_.data() + offset_of(at) + sizeof(RecordHeader), slab + consumed + sizeof(RecordHeader), length, drops_);
    FAULT("send.payload");
    last_start = at;
    position = at + size;
    consumed += size;
    sent++;
    // Receivers work on the beginning while the rest is written; all of it goes under one lock.
    if (position - published >= capacity_ / 16) {
      publish(position, sequence, last_start);
      published = position;
      notify_data(Fence::needed);
    }
  }
  if (position != published) publish(position, sequence, last_start);
  unlock();
  FAULT("send.unlocked");
  sent_ += sent;
  if (sent > 0) notify_data(Fence::made);
  return status;
}

Status Channel::loan(uint64_t bytes, uint8_t*& place) {
  if (!(role_ & kSender)) return kWrongRole;
  // With several producers a place that is lent would have to hold up all of them.
  if (constants().type != kRoute || drops_) return kUnsupported;
  if (bytes > inline_limit_) return kTooLarge;
  Status status = lock(kLoanLockNs);
  if (status != kOk) return status;
  const uint64_t head = region()->heads.head.load(std::memory_order_relaxed);
  uint64_t position = head;
  status = make_room(record_bytes(bytes), position);
  unlock();
  if (status != kOk) return status;
  loan_bytes_ = bytes;
  loan_position_ = position;
  loan_head_ = head;
  place = file_.data() + offset_of(position) + sizeof(RecordHeader);
  return kOk;
}

Status Channel::commit_loan(uint64_t bytes) {
  if (loan_bytes_ == 0 || bytes > loan_bytes_) return kTooLarge;
  Status status = lock(5ull * 1000000000);
  if (status != kOk) return status;
  const Commit* commit = commit_in_force();
  // Somebody else has sent meanwhile, who had no right to: `head` would go back.
  if (!commit || commit->position.load(std::memory_order_relaxed) != loan_head_) {
    unlock();
    return kCorrupt;
  }
  const uint64_t sequence = commit->next_sequence.load(std::memory_order_relaxed);
  put_record(loan_position_, kData, bytes, sequence);
  publish(loan_position_ + record_bytes(bytes), sequence + 1, loan_position_);
  unlock();
  loan_bytes_ = 0;
  sent_++;
  notify_data(Fence::made);
  return kOk;
}

}  // namespace isthmus
