// Receiving: no lock. `head` says what exists, the cursor of this receiver says what it still needs.
// Nothing that is read from the region is believed before it was checked against the ring's bounds.
#include <cstdlib>
#include <cstring>

#include "channel.h"
#include "copy.h"
#include "fault.h"
#include "memory.h"

namespace isthmus {
namespace {
constexpr int kOverrunTurns = 1000;
constexpr uint64_t kFirstGatherNs = 250;
constexpr uint64_t kLongestGatherNs = 2000;
constexpr uint64_t kGathered = 4096;
/** So long the next chunk of a message is waited for that has begun, and so long all of them together. */
constexpr uint64_t kNextChunkNs = 100000;
constexpr uint64_t kAllChunksNs = 4 * 1000000;
/** Larger messages are not expected within that time. */
constexpr uint64_t kLargestLentBytes = 16 << 20;
/** So often senders are looked at that have begun a message and do not go on with it. */
constexpr uint64_t kForgetNs = 100 * 1000000;
/** What one call passes over at most, beyond a ring full of it: the event loop has other things to do. */
constexpr uint64_t kMostPassedBytes = 4 << 20;
}  // namespace

bool Channel::is_own(uint32_t tag) const {
  return slot_of(tag) == slot_ && generation_of(tag) == (generation_ & 0xffff);
}

/** Has what lies at the cursor been given up? Only channels that drop or evict ever overwrite it. */
bool Channel::overrun() const {
  if (region()->heads.tail.load(std::memory_order_acquire) > cursor_) return true;
  return constants().policy == kEvictAfter && peer(slot_).state.load(std::memory_order_acquire) != kActive;
}

Status Channel::resynchronise() {
  if (constants().policy == kEvictAfter) return kEvictedSelf;
  const uint64_t tail = region()->heads.tail.load(std::memory_order_acquire);
  if (tail % kRecordAlign != 0) return kCorrupt;
  if (tail > cursor_) cursor_ = tail;
  cached_head_ = region()->heads.head.load(std::memory_order_acquire);
  return kOk;
}

Status Channel::peek(RecordHeader& header, uint64_t& size) {
  for (int turn = 0; turn < kOverrunTurns; turn++) {
    if (drops_ && overrun()) {
      Status status = resynchronise();
      if (status != kOk) return status;
    }
    if (cursor_ == cached_head_) {
      // acquire: pairs with the release of publish.
      cached_head_ = region()->heads.head.load(std::memory_order_acquire);
      if (cursor_ == cached_head_) {
        if (cursor_ != published_) publish_cursor();
        if (!assemblies_.empty()) forget_unfinished();
        return kEmpty;
      }
      gather();
    }
    const bool possible = cached_head_ - cursor_ <= capacity_;
    Status status = possible ? read_header(cursor_, cached_head_, header, size) : kCorrupt;
    if (drops_) {
      std::atomic_thread_fence(std::memory_order_acquire);
      if (overrun()) continue;
    }
    return status;
  }
  return kEmpty;
}

/** True for a call that has passed over all that was there when it began, and more: there need not be an end to it. */
bool Channel::passed_enough(uint64_t begun_at) {
  if (cursor_ - begun_at <= capacity_ + kMostPassedBytes) return false;
  publish_cursor();
  return true;
}

/**
 * A receiver that is faster than its sender and looks all the time takes the line of `head` away from it for
 * every single message. When more than one message has come since the last look and there are still few,
 * it looks away for a moment. One message alone, as when two ask and answer, is never held up.
 */
void Channel::gather() {
  const uint64_t waiting = cached_head_ - cursor_;
  if (waiting >= kGathered || waiting < 2 * sizeof(RecordHeader) || latest_) {
    gather_ns_ = 0;
    return;
  }
  const uint8_t* at = file_.data() + offset_of(cursor_);
  // No more than a hint: what stands there is checked when it is read.
  const uint64_t first = record_bytes(static_cast<uint32_t>(__atomic_load_n(reinterpret_cast<const uint64_t*>(at), __ATOMIC_RELAXED)));
  if (waiting <= first) {
    gather_ns_ = 0;
    return;
  }
  gather_ns_ = gather_ns_ == 0 ? kFirstGatherNs : gather_ns_ < kLongestGatherNs ? gather_ns_ * 2 : gather_ns_;
  const uint64_t until = platform::now_ns() + gather_ns_;
  do platform::pause_processor();
  while (platform::now_ns() < until);
  cached_head_ = region()->heads.head.load(std::memory_order_acquire);
}

void Channel::publish_cursor() {
  uint64_t target = cursor_;
  if (!views_.empty()) target = views_.front().start;
  if (target == published_) return;
  FAULT("receive.cursor");
  published_ = target;
  // release: pairs with the acquire of slowest_cursor; our copies are made before the place is used again.
  peer(slot_).cursor.store(target, std::memory_order_release);
  notify_space();
}

void Channel::advance(uint64_t size) {
  cursor_ += size;
  if (cursor_ - published_ >= capacity_ / 16) publish_cursor();
}

void Channel::account(uint64_t sequence, Message& message) {
  message.sequence = sequence;
  message.missed = sequence > expected_ ? sequence - expected_ : 0;
  expected_ = sequence + 1;
}

Status Channel::jump_to_latest() {
  Heads& heads = region()->heads;
  for (int turn = 0; turn < 16; turn++) {
    const uint64_t head = heads.head.load(std::memory_order_acquire);
    if (head == cursor_) return kOk;
    for (const Commit& commit : heads.commit) {
      if (commit.position.load(std::memory_order_relaxed) != head) continue;
      const uint64_t start = commit.last_start.load(std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (heads.head.load(std::memory_order_relaxed) != head) break;
      if (start > head || start % kRecordAlign != 0) return kCorrupt;
      if (start > cursor_) {
        cursor_ = start;
        cached_head_ = head;
      }
      return kOk;
    }
  }
  return kOk;
}

Status Channel::receive(uint8_t* place, uint64_t room, Message& message, uint64_t largest) {
  if (!(role_ & kReceiver)) return kWrongRole;
  if (latest_) {
    Status status = jump_to_latest();
    if (status != kOk) return status;
  }
  const uint64_t begun_at = cursor_;
  for (;;) {
    RecordHeader header;
    uint64_t size;
    Status status = passed_enough(begun_at) ? kEmpty : peek(header, size);
    if (status != kOk) return status;
    const uint32_t kind = kind_of(header.tag);
    if (kind == kPad) {
      advance(size);
    } else if (kind == kChunk) {
      status = take_chunk(header, message, largest);
      if (status != kOk && status != kFull && status != kLarge) return status;
      if (status != kFull) advance(size);
      if (status == kLarge) return kLarge;
    } else if (!echo_ && is_own(header.tag)) {
      expected_ = header.sequence + 1;
      advance(size);
    } else if (header.sequence < first_) {
      advance(size);
    } else {
      message.bytes = header.bytes;
      if (header.bytes > room || header.bytes > largest) return kNeedsSpace;
      status = move_out();
      if (status != kOk) return status;
      copy_bytes(place, file_.data() + offset_of(cursor_) + sizeof(RecordHeader), header.bytes, drops_);
      if (drops_) {
        std::atomic_thread_fence(std::memory_order_acquire);
        if (overrun()) continue;
      }
      FAULT("receive.copied");
      account(header.sequence, message);
      advance(size);
      return kOk;
    }
  }
}

Status Channel::receive_into(uint8_t* place, uint64_t room, Message& message) {
  lent_place_ = place;
  lent_room_ = room < kLargestLentBytes ? room : kLargestLentBytes;
  Status status = receive(place, room, message);
  if (status == kEmpty && lent_assembly()) {
    // Its sender is at work on the next chunk. Going away and coming back would cost a second copy.
    const uint64_t until = platform::now_ns() + kAllChunksNs;
    while (status == kEmpty && lent_assembly() && platform::now_ns() < until && spin(Wait::data, kNextChunkNs)) {
      status = receive(place, room, message);
    }
  }
  const Status moved = move_out();
  if (status == kLarge && large_ == place) {
    large_ = nullptr;
    large_bytes_ = 0;
    status = kOk;
  }
  lent_place_ = nullptr;
  lent_room_ = 0;
  return moved == kOk ? status : moved;
}

Assembly* Channel::lent_assembly() {
  for (Assembly& assembly : assemblies_) {
    if (assembly.lent) return &assembly;
  }
  return nullptr;
}

/** The place is needed for something else, or goes back to the caller: what was begun in it goes on in memory of ours. */
Status Channel::move_out() {
  Assembly* assembly = lent_place_ ? lent_assembly() : nullptr;
  if (!assembly) return kOk;
  uint8_t* data = take_memory(assembly->total);
  if (data) {
    std::memcpy(data, assembly->data, assembly->got);
    assembly->data = data;
    assembly->room = assembly->total;
    assembly->lent = false;
    return kOk;
  }
  assemblies_.erase(assemblies_.begin() + (assembly - assemblies_.data()));
  return kNoMemory;
}

Status Channel::receive_view(const uint8_t*& place, Message& message, uint64_t& ticket) {
  if (!(role_ & kReceiver)) return kWrongRole;
  if (drops_) return kUnsupported;
  const uint64_t begun_at = cursor_;
  for (;;) {
    RecordHeader header;
    uint64_t size;
    Status status = passed_enough(begun_at) ? kEmpty : peek(header, size);
    if (status != kOk) return status;
    const uint32_t kind = kind_of(header.tag);
    if (kind == kChunk) {
      status = take_chunk(header, message, kMaxMessageBytes);
      if (status == kCorrupt || status == kNoMemory) return status;
      advance(size);
      if (status == kLarge) return kLarge;
      continue;
    }
    const bool own = kind != kPad && !echo_ && is_own(header.tag);
    if (kind == kPad || own || header.sequence < first_) {
      if (own) expected_ = header.sequence + 1;
      advance(size);
      continue;
    }
    place = file_.data() + offset_of(cursor_) + sizeof(RecordHeader);
    message.bytes = header.bytes;
    account(header.sequence, message);
    ticket = next_ticket_++;
    views_.push_back({ticket, cursor_, false});
    advance(size);
    return kOk;
  }
}

void Channel::release_view(uint64_t ticket) {
  for (View& view : views_) {
    if (view.ticket == ticket) view.released = true;
  }
  size_t done = 0;
  while (done < views_.size() && views_[done].released) done++;
  views_.erase(views_.begin(), views_.begin() + static_cast<std::ptrdiff_t>(done));
  const uint64_t target = views_.empty() ? cursor_ : views_.front().start;
  if (target - published_ >= capacity_ / 16 || (views_.empty() && cursor_ == cached_head_)) publish_cursor();
}

/** Frees what was begun by senders that have died or left since: they will not go on with it. */
void Channel::forget_unfinished() {
  const uint64_t now = platform::now_ns();
  if (now - forgot_ns_ < kForgetNs) return;
  forgot_ns_ = now;
  for (size_t i = assemblies_.size(); i-- > 0;) {
    const Assembly& assembly = assemblies_[i];
    if (assembly.lent || (assembly.slot == slot_ && assembly.generation == (generation_ & 0xffff))) continue;
    const uint32_t generation = peer(assembly.slot).generation.load(std::memory_order_acquire) & 0xffff;
    if (generation == assembly.generation && platform::byte_is_held(file_.fd(), kPeerByte + assembly.slot)) continue;
    // It may have gone on with it before it went; what it sent is there by now.
    if (data_waiting()) return;
    give_memory(assembly.data, assembly.room);
    assemblies_.erase(assemblies_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

Assembly* Channel::assembly_of(uint32_t tag) {
  for (Assembly& assembly : assemblies_) {
    if (assembly.slot == slot_of(tag)) return &assembly;
  }
  return nullptr;
}

/**
 * kOk: taken or rightly ignored; kFull: overwritten meanwhile, look again; kLarge: a message is complete;
 * kNeedsSpace: the first of a message of more than `largest` bytes, left where it is.
 */
Status Channel::take_chunk(const RecordHeader& header, Message& message, uint64_t largest) {
  if (header.bytes < sizeof(ChunkHeader)) return kCorrupt;
  const uint8_t* at = file_.data() + offset_of(cursor_) + sizeof(RecordHeader);
  ChunkHeader chunk;
  copy_bytes(reinterpret_cast<uint8_t*>(&chunk), at, sizeof chunk, drops_);
  if (drops_) {
    std::atomic_thread_fence(std::memory_order_acquire);
    if (overrun()) return kFull;
  }
  const uint64_t part = header.bytes - sizeof(ChunkHeader);
  if (part == 0 || chunk.total > kMaxMessageBytes || chunk.offset > chunk.total || part > chunk.total - chunk.offset) return kCorrupt;
  if ((chunk.offset == 0) != (chunk.id == cursor_)) return kCorrupt;
  const bool last = chunk.offset + part == chunk.total;
  if (!echo_ && is_own(header.tag)) {
    if (last) expected_ = header.sequence + 1;
    return kOk;
  }
  Assembly* assembly = assembly_of(header.tag);
  if (chunk.offset == 0) {
    if (chunk.total > largest) {
      message.bytes = chunk.total;
      return kNeedsSpace;
    }
    if (!assembly) {
      assemblies_.emplace_back();
      assembly = &assemblies_.back();
      assembly->slot = slot_of(header.tag);
    }
    // What is left of a message that its sender gave up.
    if (!assembly->lent) give_memory(assembly->data, assembly->room);
    assembly->lent = chunk.total <= lent_room_ && (assembly->lent || !lent_assembly());
    assembly->data = assembly->lent ? lent_place_ : nullptr;
    assembly->room = assembly->lent ? chunk.total : 0;
    assembly->generation = generation_of(header.tag);
    assembly->id = chunk.id;
    assembly->total = chunk.total;
    assembly->got = 0;
  } else if (!assembly || assembly->generation != generation_of(header.tag) || assembly->id != chunk.id ||
             assembly->got != chunk.offset || assembly->total != chunk.total) {
    // Its beginning came before we did: not ours to have, so not missed either.
    if (last && chunk.id < joined_at_) expected_ = header.sequence + 1;
    return kOk;
  }
  if (assembly->got + part > assembly->room) {
    // Grown as the bytes really come: an announced gigabyte costs nothing.
    uint64_t room = assembly->room < kLargestKeptBytes ? kLargestKeptBytes : assembly->room * 2;
    if (room > chunk.total) room = chunk.total;
    if (room < assembly->got + part) room = assembly->got + part;
    uint8_t* data = take_memory(room);
    if (!data) return kNoMemory;
    if (assembly->got > 0) std::memcpy(data, assembly->data, assembly->got);
    give_memory(assembly->data, assembly->room);
    assembly->data = data;
    assembly->room = room;
  }
  copy_bytes(assembly->data + chunk.offset, at + sizeof chunk, part, drops_);
  if (drops_) {
    std::atomic_thread_fence(std::memory_order_acquire);
    if (overrun()) return kFull;
  }
  assembly->got += part;
  if (!last) return kOk;
  if (header.sequence < first_) {
    if (!assembly->lent) give_memory(assembly->data, assembly->room);
    assemblies_.erase(assemblies_.begin() + (assembly - assemblies_.data()));
    return kOk;
  }
  account(header.sequence, message);
  message.bytes = chunk.total;
  give_memory(large_, large_bytes_);
  large_ = assembly->data;
  large_bytes_ = chunk.total;
  assemblies_.erase(assemblies_.begin() + (assembly - assemblies_.data()));
  return kLarge;
}

uint8_t* Channel::take_large(uint64_t& bytes) {
  uint8_t* data = large_;
  bytes = large_bytes_;
  large_ = nullptr;
  large_bytes_ = 0;
  return data;
}

}  // namespace isthmus
