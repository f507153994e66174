// One handle on a channel: its slot, its cursor, what it may do. A handle belongs to one thread at a
// time; every thread opens its own. Knows nothing of Node-API.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "region.h"

namespace isthmus {

struct HandleOptions {
  /** 0: an onlooker, who takes no slot and whom nobody notices. */
  uint32_t role = kReceiver;
  std::string peer_name;
  bool echo = false;  // receive what this very handle sent
};

struct Message {
  uint64_t sequence = 0;
  /** How many messages before this one were lost to this receiver. */
  uint64_t missed = 0;
  uint64_t bytes = 0;
};

/** A message on its way: sent in one record, or in chunks over several calls. */
struct Outgoing {
  const uint8_t* data = nullptr;
  uint64_t bytes = 0;
  uint64_t offset = 0;
  uint64_t id = 0;
  bool begun = false;
};

struct PeerInfo {
  uint32_t slot, pid, role, state, generation;
  uint64_t lag_bytes, joined_ms;
  std::string name;
  bool alive;
};

/** A message under way to a receiver, one for each sender. */
struct Assembly {
  uint32_t slot = 0;
  uint32_t generation = 0;
  uint64_t id = 0;
  uint64_t total = 0;
  uint64_t got = 0;
  uint64_t room = 0;
  uint8_t* data = nullptr;
  /** `data` is the place of the caller of receive_into, until that returns. */
  bool lent = false;
};

enum class Wait { data, space, presence };

class Channel {
 public:
  ~Channel();
  Status open(const RegionOptions& region, const HandleOptions& options);
  void close();

  // send.cc
  /** One attempt. `kFull`, `kBusy`: nothing (more) was sent, `out.offset` says how far chunks got. */
  Status send(Outgoing& out, uint64_t lock_ns, bool whole);
  /** Records of { u32 bytes, 12 unused, payload, padding to 16 }; gives how many were sent. */
  Status send_batch(const uint8_t* slab, uint64_t bytes, uint64_t lock_ns, uint32_t& sent, uint64_t& consumed);
  /** ROUTE only: a place in the ring to write into; `commit_loan` sends its first `bytes`. */
  Status loan(uint64_t bytes, uint8_t*& place);
  Status commit_loan(uint64_t bytes);
  void drop_loan() { loan_bytes_ = 0; }
  uint64_t inline_limit() const { return inline_limit_; }
  /** The largest message that can be sent whole or not at all. */
  uint64_t whole_limit() const { return latest_ ? inline_limit_ : whole_limit_; }
  uint64_t sent() const { return sent_; }

  // receive.cc
  /**
   * The next message, copied to `place` if it fits into `room`. kLarge: take it with take_large. One of more than
   * `largest` bytes is left where it is, with kNeedsSpace.
   */
  Status receive(uint8_t* place, uint64_t room, Message& message, uint64_t largest = kMaxMessageBytes);
  /** As `receive`, but what comes in chunks is put together in the place itself when it can be had in one go. */
  Status receive_into(uint8_t* place, uint64_t room, Message& message);
  /** The caller's now; give_memory takes it back. */
  uint8_t* take_large(uint64_t& bytes);
  /** The next message where it lies; it stays there until it and all older views are released. */
  Status receive_view(const uint8_t*& place, Message& message, uint64_t& ticket);
  void release_view(uint64_t ticket);
  bool has_views() const { return !views_.empty(); }
  /** Somebody may look into the ring for as long as the process lives. */
  void keep_mapping() { file_.leak_mapping(); }
  /** Part of every look at `head`: gives a sender that is at work a moment to write more. */
  void gather();
  /** Tells senders how far this receiver is. */
  void publish_cursor();
  Status rejoin();
  bool data_waiting() const;
  /** Whether all that was there at the last look has been taken. */
  bool caught_up() const { return cursor_ == cached_head_; }

  // gate.cc
  /** Says that this handle's bell is to be rung; true when there is something already. */
  bool arm(Wait what);
  void disarm(Wait what);
  /** Sleeps at most `timeout_ns`. True when there may be something. */
  bool wait(Wait what, uint64_t timeout_ns);
  bool spin(Wait what, uint64_t ns);
  bool ready(Wait what) const;
  Status bell_fd();
  bool bell_is_lost() const;

  // peers.cc
  uint32_t count(uint32_t role);
  std::vector<PeerInfo> peers();
  /** The last generation of this slot that left of its own accord. */
  uint32_t left(uint32_t slot) const { return slot < kMaxPeers ? peer(slot).left.load(std::memory_order_acquire) : 0; }
  /** Frees the slots of the dead; gives how many there were. */
  int evict_dead();
  uint32_t changes() const { return region()->registry.changes.load(std::memory_order_acquire); }
  uint64_t head() const { return region()->heads.head.load(std::memory_order_acquire); }
  uint64_t next_sequence() const;

  const Constants& constants() const { return file_.constants(); }
  uint32_t slot() const { return slot_; }
  uint64_t cursor() const { return cursor_; }
  bool is_open() const { return file_.is_open(); }

 private:
  friend class Locked;
  Region* region() const { return file_.region(); }
  Peer& peer(uint32_t slot) const { return file_.region()->peers[slot]; }
  uint64_t offset_of(uint64_t position) const { return position & mask_; }

  // lock.cc
  Status lock(uint64_t timeout_ns);
  void unlock();
  bool owner_is_dead(uint32_t word);

  // peers.cc
  Status claim(const HandleOptions& options);
  void take_slot(uint32_t slot, const HandleOptions& options);
  Status join(bool with_history);
  bool evict_if_dead(uint32_t slot);
  void mourn();
  uint64_t slowest_cursor() const;

  // send.cc
  Status make_room(uint64_t need, uint64_t& position);
  bool all_have_read(uint64_t limit);
  Status evict_slow(uint64_t limit);
  Status advance_tail(uint64_t limit);
  bool ends_message(const RecordHeader& header, uint64_t position, uint64_t& begin) const;
  void skip_own();
  const Commit* commit_in_force() const;
  void put_record(uint64_t position, uint32_t kind, uint64_t bytes, uint64_t sequence);
  void publish(uint64_t position, uint64_t sequence, uint64_t last_start);
  Status send_one(Outgoing& out);
  Status send_chunks(Outgoing& out, bool whole);

  // receive.cc
  Status peek(RecordHeader& header, uint64_t& size);
  Status resynchronise();
  bool overrun() const;
  Status jump_to_latest();
  Status read_header(uint64_t position, uint64_t limit, RecordHeader& header, uint64_t& size) const;
  Status take_chunk(const RecordHeader& header, Message& message, uint64_t largest);
  Assembly* lent_assembly();
  Status move_out();
  void advance(uint64_t size);
  void account(uint64_t sequence, Message& message);
  bool is_own(uint32_t tag) const;
  bool passed_enough(uint64_t begun_at);
  void forget_unfinished();
  Assembly* assembly_of(uint32_t tag);
  uint64_t history_start(uint64_t count, uint64_t& sequence) const;

  // gate.cc
  enum class Fence { needed, made };
  void notify_data(Fence fence);
  void notify_space();
  void notify_presence();
  void wake(Gate& gate, bool after_data);
  Gate& gate_of(Wait what) const;
  bool presence_changed();
  void rouse(Gate& gate, uint64_t below);
  void ring(uint32_t slot);

  struct View {
    uint64_t ticket, start;
    bool released;
  };
  struct BellEnd {
    int fd = -1;
    uint32_t generation = 0;
  };

  RegionFile file_;
  uint64_t mask_ = 0, capacity_ = 0, inline_limit_ = 0, chunk_limit_ = 0, whole_limit_ = 0;
  uint32_t slot_ = 0, generation_ = 0, role_ = 0;
  bool claimed_ = false, produces_ = false, echo_ = false, drops_ = false, joined_ = false, latest_ = false, heir_ = false;
  bool keeps_tail_ = false;

  // sender
  uint64_t min_cursor_ = 0, loan_bytes_ = 0, loan_position_ = 0, loan_head_ = 0, last_probe_ns_ = 0, stuck_at_ = UINT64_MAX, sent_ = 0;
  uint32_t seen_joins_ = 0;

  // receiver
  uint64_t cursor_ = 0, published_ = 0, cached_head_ = 0, expected_ = 0, joined_at_ = 0, next_ticket_ = 1;
  std::vector<View> views_;
  std::vector<Assembly> assemblies_;
  uint8_t* large_ = nullptr;
  uint64_t large_bytes_ = 0;
  uint8_t* lent_place_ = nullptr;
  uint64_t lent_room_ = 0;
  uint64_t gather_ns_ = 0, forgot_ns_ = 0;
  /** The number of the first message that is ours to have. */
  uint64_t first_ = 0;

  // bells
  int bell_ = -1;
  uint64_t bell_inode_ = 0;
  uint32_t seen_changes_ = 0;
  std::vector<BellEnd> bell_ends_;
};

}  // namespace isthmus
