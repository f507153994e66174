// The region to the byte: docs/shared-memory.md shows the same as a table. A change of anything here
// raises kLayoutVersion, and two versions refuse each other on one name.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../platform/platform.h"

namespace isthmus {

constexpr uint64_t kMagic = 0x53554d4854534949ull;
constexpr uint32_t kLayoutVersion = 2;
constexpr uint32_t kMaxPeers = 1024;
constexpr uint64_t kMaxMessageBytes = 1ull << 30;
constexpr uint64_t kMinCapacity = 1ull << 12;
constexpr uint64_t kMaxCapacity = 1ull << 30;
constexpr uint64_t kMaxChunkBytes = 256 << 10;

// Byte locks beyond every size that a region can have; they need no byte of the file.
constexpr uint64_t kPeerByte = 1ull << 40;
constexpr uint64_t kPresenceByte = kPeerByte - 1;
constexpr uint64_t kProducerByte = kPeerByte - 2;

enum ChannelType : uint32_t { kRoute = 0, kChannel = 1 };
enum Policy : uint32_t { kBlock = 0, kDropOldest = 1, kEvictAfter = 2 };
enum Role : uint32_t { kSender = 1, kReceiver = 2 };
enum PeerState : uint32_t { kFree = 0, kActive = 1, kEvicted = 2 };

/** Written once, before the region has a name. */
struct alignas(128) Constants {
  uint64_t magic;
  uint32_t version;
  uint32_t type;
  uint64_t file_bytes;
  uint64_t capacity;
  uint64_t data_offset;
  uint32_t max_peers;
  uint32_t policy;
  uint32_t evict_ms;
  uint32_t history;
  uint32_t latest;
  uint32_t mode;
  uint64_t nonce;
  uint64_t created_ms;
};

/** What belongs to one value of `head`. Two of them take turns, so that the one in force is never written. */
struct Commit {
  std::atomic<uint64_t> position;
  std::atomic<uint64_t> next_sequence;
  std::atomic<uint64_t> last_start;
};

struct alignas(128) Heads {
  /** The only commit point: what lies below it exists, what lies above it does not. */
  std::atomic<uint64_t> head;
  /** Where the oldest record starts that was not overwritten; kept only by channels that need it. */
  std::atomic<uint64_t> tail;
  /** Since when the ring has been full (monotonic ns, 0: it is not); for evict-after. */
  std::atomic<uint64_t> blocked_since_ns;
  Commit commit[2];
};

/** A place to sleep: for threads on `sequence`, for event loops by a bell of their own. */
struct alignas(128) Gate {
  std::atomic<uint32_t> flags;
  platform::WaitWord sequence;
  alignas(128) std::atomic<uint64_t> armed[kMaxPeers / 64];
};
constexpr uint32_t kGateThreads = 1;
constexpr uint32_t kGateBells = 2;

/** 0 = free, else slot + 1 (12 bits) | generation (19 bits) | waiters (1 bit). */
struct alignas(128) LockLine {
  platform::WaitWord word;
};

struct alignas(128) Registry {
  /** Raised by every join, under the lock: a sender's remembered minimum is void then. */
  std::atomic<uint32_t> joins;
  /** Raised by every join, leave and eviction. */
  std::atomic<uint32_t> changes;
  /** One more than the highest slot ever used. */
  std::atomic<uint32_t> slots_used;
};

constexpr size_t kPeerNameBytes = 40;

struct alignas(128) Peer {
  /** Everything below it has been read. */
  std::atomic<uint64_t> cursor;
  std::atomic<uint32_t> state;
  std::atomic<uint32_t> generation;
  std::atomic<uint32_t> role;
  /** For people; nothing is decided by it. */
  std::atomic<uint32_t> pid;
  std::atomic<uint64_t> joined_ms;
  /** The last generation that left of its own accord: another that is gone was killed. */
  std::atomic<uint32_t> left;
  std::atomic<uint64_t> name[kPeerNameBytes / 8];
};

struct Region {
  Constants constants;
  Heads heads;
  LockLine lock;
  Registry registry;
  Gate data;
  Gate space;
  Gate presence;
  Peer peers[kMaxPeers];
};

constexpr uint64_t kDataOffset = (sizeof(Region) + 4095) / 4096 * 4096;

enum RecordKind : uint32_t { kPad = 1, kData = 2, kChunk = 3 };

/** Before every payload; aligned to 16, so that a header is never cut by the end of the ring. */
struct RecordHeader {
  uint32_t bytes;
  /** kind (4 bits) | slot (12 bits) | generation (16 bits) of the sender. */
  uint32_t tag;
  /** The number of this message; of a chunk that is not the last: the number given next. */
  uint64_t sequence;
};

/** At the front of the payload of a chunk. `id` is the position of the first chunk. */
struct ChunkHeader {
  uint64_t id;
  uint64_t offset;
  uint64_t total;
  uint64_t reserved;
};

/** What a chunk takes in the ring beyond what it carries, at most. */
constexpr uint64_t kChunkCost = 64;

static_assert(sizeof(Constants) == 128 && sizeof(Heads) == 128 && sizeof(Peer) == 128, "the layout is fixed");
static_assert(sizeof(Gate) == 256 && sizeof(RecordHeader) == 16 && sizeof(ChunkHeader) == 32, "the layout is fixed");
static_assert(offsetof(Constants, mode) == 60 && offsetof(Constants, created_ms) == 72, "the layout is fixed");
static_assert(offsetof(Region, heads) == 128 && offsetof(Heads, commit) == 24, "the layout is fixed");
static_assert(offsetof(Region, lock) == 256 && offsetof(Region, registry) == 384, "the layout is fixed");
static_assert(offsetof(Region, data) == 512 && offsetof(Region, space) == 768, "the layout is fixed");
static_assert(offsetof(Gate, sequence) == 4 && offsetof(Gate, armed) == 128, "the layout is fixed");
static_assert(offsetof(Region, presence) == 1024 && offsetof(Region, peers) == 1280, "the layout is fixed");
static_assert(offsetof(Peer, left) == 32 && offsetof(Peer, name) == 40, "the layout is fixed");
static_assert(sizeof(Region) == 132352 && kDataOffset == 135168, "the layout is fixed");
static_assert(std::atomic<uint64_t>::is_always_lock_free, "shared memory needs atomics without locks");

constexpr uint64_t kRecordAlign = 16;
constexpr uint64_t align_record(uint64_t bytes) { return (bytes + kRecordAlign - 1) & ~(kRecordAlign - 1); }
constexpr uint64_t record_bytes(uint64_t payload) { return align_record(sizeof(RecordHeader) + payload); }

inline uint32_t make_tag(RecordKind kind, uint32_t slot, uint32_t generation) {
  return kind | (slot << 4) | (generation << 16);
}
inline uint32_t kind_of(uint32_t tag) { return tag & 0xf; }
inline uint32_t slot_of(uint32_t tag) { return (tag >> 4) & 0xfff; }
inline uint32_t generation_of(uint32_t tag) { return tag >> 16; }

}  // namespace isthmus
