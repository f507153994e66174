// Where something is full, far, at its end, or half done: what random load meets too seldom.
#include <atomic>
#include <cerrno>
#include <set>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include "edges.h"
#include "follower.h"

using namespace isthmus;
using namespace isthmus::test;

namespace {

std::atomic<int> interrupted{0};

}  // namespace

/** The suite compiles the platform layer with this: as on systems where a signal ends what takes long, and signals keep coming. */
extern "C" int interrupted_fallocate(int fd, off_t offset, off_t bytes) {
  if (bytes <= 256 << 10) return syscall(SYS_fallocate, fd, 0, offset, bytes) == 0 ? 0 : errno;
  CHECK(++interrupted < 1000, "%lld bytes are asked for again and again", static_cast<long long>(bytes));
  return EINTR;
}

namespace {

/** Whoever comes back keeps the views that he holds, and nobody writes over them. */
void views_outlast_a_rejoin() {
  const RegionOptions options = region("views", kChannel, kMinCapacity);
  Channel receiver, sender;
  open_ok(receiver, options, kReceiver);
  open_ok(sender, options, kSender);
  std::vector<uint8_t> bytes;
  fill(bytes, 900, 1, 0);
  CHECK(send_once(sender, bytes) == kOk, "send");
  const uint8_t* place;
  Message message;
  uint64_t ticket;
  CHECK(receiver.receive_view(place, message, ticket) == kOk, "view");
  CHECK(receiver.rejoin() == kOk, "rejoin");
  fill(bytes, 900, 1, 1);
  int sent = 0;
  Status status = kOk;
  for (; sent < 8 && (status = send_once(sender, bytes)) == kOk; sent++) {
  }
  CHECK(status == kFull && sent == 3, "the view holds the ring: %d sent, then %d", sent, status);
  CHECK(intact(place, message.bytes), "the view was overwritten");
  receiver.release_view(ticket);
  std::vector<uint8_t> got(1000);
  for (int i = 0; i < 10; i++) {
    fill(bytes, 900, 1, static_cast<uint64_t>(2 + i));
    status = send_once(sender, bytes);
    CHECK(status == kOk || i == 0, "after the release there is room: %d", status);
    while (receiver.receive(got.data(), got.size(), message) == kOk) CHECK(intact(got.data(), message.bytes), "torn");
  }
}

/** What a sender had begun when it went is freed, and what one goes on with is not. */
void unfinished_is_forgotten() {
  constexpr uint64_t kBytes = 1 << 20;
  const RegionOptions options = region("unfinished", kChannel, 1 << 16);
  Channel receiver, gone, slow;
  open_ok(receiver, options, kReceiver);
  open_ok(gone, options, kSender);
  open_ok(slow, options, kSender);
  std::vector<uint8_t> bytes, slow_bytes, room(100);
  Message message;
  // The block that was given back last is the one that is taken next.
  uint8_t* block = take_memory(kBytes);
  give_memory(block, kBytes);
  fill(bytes, kBytes, 1, 0);
  fill(slow_bytes, kBytes / 2, 2, 0);
  Outgoing out;
  out.data = bytes.data();
  out.bytes = bytes.size();
  CHECK(gone.send(out, kSecond, false) == kFull && receiver.receive(room.data(), room.size(), message) == kEmpty, "a part of it");
  Outgoing slow_out;
  slow_out.data = slow_bytes.data();
  slow_out.bytes = slow_bytes.size();
  CHECK(slow.send(slow_out, kSecond, false) == kFull, "a part of another");
  CHECK(receiver.receive(room.data(), room.size(), message) == kEmpty, "and no more");
  gone.close();
  const uint64_t deadline = platform::now_ns() + 10 * kSecond;
  for (uint8_t* other = nullptr; other != block;) {
    CHECK(receiver.receive(room.data(), room.size(), message) == kEmpty, "nothing has come");
    other = take_memory(kBytes);
    give_memory(other, kBytes);
    CHECK(platform::now_ns() < deadline, "its memory does not come back");
    platform::sleep_ns(1000000);
  }
  Status status;
  while ((status = slow.send(slow_out, kSecond, false)) == kFull) {
    const Status got = receiver.receive(room.data(), room.size(), message);
    CHECK(got == kEmpty, "receive gave %d", got);
  }
  CHECK(status == kOk && receiver.receive(room.data(), room.size(), message) == kLarge, "the other comes whole: %d", status);
  uint64_t size;
  uint8_t* data = receiver.take_large(size);
  CHECK(size == slow_bytes.size() && intact(data, size), "and intact");
  give_memory(data, size);
}

/** However much comes that is none of its business, a call ends. */
void a_call_ends() {
  constexpr uint64_t kCapacity = 1 << 20;
  const RegionOptions options = region("flood", kChannel, kCapacity);
  Channel receiver;
  open_ok(receiver, options, kReceiver);
  Raw raw(options);
  // A ring full of chunks of a message that never began.
  for (uint64_t at = 0; at < kCapacity; at += 64) {
    raw.put(at, 48, make_tag(kChunk, 7, 1), 0);
    const ChunkHeader chunk = {8, 1000, 100000, 0};
    std::memcpy(raw.ring + at + sizeof(RecordHeader), &chunk, sizeof chunk);
  }
  std::atomic<bool> done{false};
  std::thread flood([&] {
    const Peer& peer = raw.region->peers[receiver.slot()];
    while (!done) raw.region->heads.head = peer.cursor + kCapacity;
  });
  std::vector<uint8_t> room(1000);
  uint64_t most = 0;
  // Where the two run at the same time, the flood is never at its end.
  while (receiver.cursor() < 100 * kCapacity) {
    const uint64_t before = receiver.cursor();
    Message message;
    CHECK(receiver.receive(room.data(), room.size(), message) == kEmpty, "none of it is a message");
    most = std::max(most, receiver.cursor() - before);
  }
  done = true;
  flood.join();
  CHECK(most <= (8 << 20), "a call passed over %llu bytes", static_cast<unsigned long long>(most));
}

/** Positions and numbers beyond what 32 or 53 bits hold, and where a signed one would turn negative. */
void far_positions() {
  for (uint64_t edge : {1ull << 32, 1ull << 53, 1ull << 63}) {
    for (Policy policy : {kBlock, kDropOldest, kEvictAfter}) {
      RegionOptions options = region("far", kChannel, kMinCapacity);
      options.policy = policy;
      options.history = 2;
      options.evict_ms = 60000;
      Channel holder, receiver, sender;
      open_ok(holder, options, 0);
      Raw(options).begin_at(edge - 10 * kMinCapacity, edge - 30);
      open_ok(receiver, options, kReceiver);
      open_ok(sender, options, kSender);
      Follower follower(true, true);
      std::vector<uint8_t> bytes, got(10000);
      for (uint64_t i = 0; i < 200; i++) {
        fill(bytes, i % 5 == 0 ? 1500 : kHeadBytes + mix(i) % 900, 1, i);
        CHECK(send_once(sender, bytes) == kOk, "send %llu", static_cast<unsigned long long>(i));
        Message message;
        CHECK(receive_wait(receiver, got, message, kSecond) == kOk && message.sequence == edge - 30 + i, "receive");
        follower.check(got.data(), message);
      }
      Channel late;
      open_ok(late, options, kReceiver);
      Message message;
      CHECK(receive_wait(late, got, message, kSecond) == kOk && message.sequence == edge - 30 + 198, "history");
    }
  }
}

/**
 * A message in chunks has its number from its last one, and others end between its chunks. Whoever comes late gets
 * those that his history counts, from their first chunk on, and none besides.
 */
void history_of_interleaved() {
  for (uint32_t history = 1; history <= 4; history++) {
    RegionOptions options = region("interleaved", kChannel, 1 << 14);
    options.history = history;
    Channel receiver, one, other;
    open_ok(receiver, options, kReceiver);
    open_ok(one, options, kSender);
    open_ok(other, options, kSender);
    std::vector<uint8_t> bytes, large, got;
    // So much that the first chunk finds room, and the second does not.
    fill(bytes, 1000, 1, 0);
    for (int i = 0; i < 11; i++) CHECK(send_once(other, bytes) == kOk, "send");
    fill(large, 6000, 2, 7);
    Outgoing out;
    out.data = large.data();
    out.bytes = large.size();
    CHECK(one.send(out, kSecond, false) == kFull && out.offset > 0 && out.offset < out.bytes, "half of it");
    Message message;
    for (int i = 0; i < 11; i++) CHECK(receive_wait(receiver, got, message, kSecond) == kOk, "receive");
    fill(bytes, 500, 1, 1);
    for (int i = 0; i < 2; i++) CHECK(send_once(other, bytes) == kOk, "between");
    CHECK(one.send(out, kSecond, false) == kOk, "the rest of it");
    CHECK(send_once(other, bytes) == kOk, "behind");
    // In the ring now: 11 is between, 12 too, 13 the large one, 14 behind.
    Channel late;
    open_ok(late, options, kReceiver);
    for (uint64_t number = 15 - history; number < 15; number++) {
      CHECK(receive_wait(late, got, message, kSecond) == kOk && message.sequence == number && message.missed == 0,
            "history of %u: %llu in place of %llu, %llu missed", history, (unsigned long long)message.sequence,
            (unsigned long long)number, (unsigned long long)message.missed);
      const bool is_large = number == 13;
      CHECK(message.bytes == (is_large ? 6000 : 500) && intact(got.data(), message.bytes), "number %llu", (unsigned long long)number);
    }
    CHECK(late.receive(got.data(), got.size(), message) == kEmpty, "more than the history");
  }
}

/** Every size at every place, so that records end at the end of the ring, and paddings of every length come. */
void every_padding() {
  const RegionOptions options = region("padding", kChannel, kMinCapacity);
  Channel receiver, sender;
  open_ok(receiver, options, kReceiver);
  open_ok(sender, options, kSender);
  Follower follower(true, true);
  std::vector<uint8_t> bytes, got(2000);
  uint64_t number = 0;
  const auto pass = [&](uint64_t size) {
    Message message;
    fill(bytes, size, 1, number++);
    CHECK(send_once(sender, bytes) == kOk, "send of %llu", static_cast<unsigned long long>(size));
    CHECK(receiver.receive(got.data(), got.size(), message) == kOk && message.bytes == size, "receive");
    follower.check(got.data(), message);
  };
  std::set<uint64_t> ends;
  for (uint64_t size : {16ull, 17ull, 32ull, 100ull, 992ull, 1007ull, 1008ull}) {
    for (uint64_t start = 0; start < kMinCapacity; start += 16) {
      // No record but an empty one ends there.
      if (start == 16) continue;
      while (sender.head() % kMinCapacity != 0) pass(kHeadBytes);
      if (start % 32 == 16) pass(kHeadBytes + 16);
      while (sender.head() % kMinCapacity != start) pass(kHeadBytes);
      pass(size);
      ends.insert(sender.head() % kMinCapacity);
    }
  }
  CHECK(ends.size() == kMinCapacity / 16 - 1, "ended at %zu places", ends.size());
}

/** A ring that is full to the last byte is read to the last byte. */
void full_to_the_last_byte() {
  const RegionOptions options = region("full", kChannel, kMinCapacity);
  Channel receiver, sender;
  open_ok(receiver, options, kReceiver);
  open_ok(sender, options, kSender);
  Follower follower(true, true);
  std::vector<uint8_t> bytes, got(2000);
  for (uint64_t lap = 0; lap < 20; lap++) {
    for (uint64_t i = 0; i < 4; i++) {
      fill(bytes, kMinCapacity / 4 - sizeof(RecordHeader), 1, lap * 4 + i);
      CHECK(send_once(sender, bytes) == kOk, "the fourth fits");
    }
    CHECK(sender.head() - receiver.cursor() == kMinCapacity && send_once(sender, bytes) == kFull, "not a byte more");
    for (int i = 0; i < 4; i++) {
      Message message;
      CHECK(receiver.receive(got.data(), got.size(), message) == kOk, "receive");
      follower.check(got.data(), message);
    }
  }
}

/** As many handles as there are slots; one more is refused, and comes in when one has left. */
void all_slots() {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < kMaxPeers + 100) return;
  const RegionOptions options = region("slots", kChannel, kMinCapacity);
  std::vector<Channel> channels(kMaxPeers);
  for (Channel& channel : channels) open_ok(channel, options, kReceiver);
  Channel more;
  HandleOptions handle;
  CHECK(more.open(options, handle) == kNoSlot, "one too many");
  CHECK(channels[0].count(kReceiver) == kMaxPeers, "all are counted");
  channels[500].close();
  handle.role = kSender;
  CHECK(more.open(options, handle) == kOk && more.slot() == 500, "the slot of who has left");
  std::vector<uint8_t> bytes, got(1000);
  Message message;
  for (uint64_t i = 0; i < 3; i++) {
    fill(bytes, 1000, 1, i);
    CHECK(send_once(more, bytes) == kOk, "send");
  }
  for (Channel& channel : channels) {
    for (uint64_t i = 0; channel.is_open() && i < 3; i++) {
      CHECK(channel.receive(got.data(), got.size(), message) == kOk && message.sequence == i, "everybody gets all");
    }
  }
  channels.clear();
  CHECK(more.count(kReceiver) == 0, "nobody is left");
  more.close();
  CHECK(nothing_left(options.name), "files left");
}

/** What was lent is not sent once somebody else has sent, who has no right to on a route. */
void loans_and_intruders() {
  const RegionOptions options = region("intruder", kRoute, kMinCapacity);
  Channel sender;
  open_ok(sender, options, kSender);
  uint8_t* place;
  CHECK(sender.loan(100, place) == kOk, "loan");
  Raw(options).begin_at(2048, 7);
  CHECK(sender.commit_loan(100) == kCorrupt && sender.head() == 2048, "head does not go back");
}

/** A record of a slot that cannot be is none. */
void impossible_slots() {
  const RegionOptions options = region("tag", kChannel, kMinCapacity);
  Channel receiver;
  open_ok(receiver, options, kReceiver);
  Raw raw(options);
  raw.put(0, 16, make_tag(kData, kMaxPeers, 1), 0);
  raw.region->heads.head = 32;
  std::vector<uint8_t> room(100);
  Message message;
  CHECK(receiver.receive(room.data(), room.size(), message) == kCorrupt, "a slot beyond the last");
}

/** What a handle remembers of one region is not believed of the next. */
void another_region() {
  Channel sender;
  std::vector<uint8_t> bytes, got(2000);
  for (int turn = 0; turn < 3; turn++) {
    const RegionOptions options = region("another", kChannel, kMinCapacity);
    Channel receiver;
    // Without a receiver there is room as far as one can see, and with the next region's joins it looks so again.
    if (turn > 0) open_ok(receiver, options, kReceiver);
    open_ok(sender, options, kSender);
    if (turn == 0) open_ok(receiver, options, kSender);
    int sent = 0;
    fill(bytes, 900, 1, 0);
    while (sent < 20 && send_once(sender, bytes) == kOk) sent++;
    CHECK(sent == (turn == 0 ? 20 : 4), "turn %d: %d sent", turn, sent);
    sender.close();
  }
}

/** A large region is made though nothing that takes long is let finish. */
void made_in_pieces() {
  const RegionOptions options = region("pieces", kChannel, 8 << 20);
  Channel channel;
  open_ok(channel, options, kReceiver);
  platform::FileFacts facts;
  CHECK(platform::facts_of_path(region_path(options.name, false), facts) == 0 && facts.bytes == kDataOffset + (8 << 20), "its size");
}

}  // namespace

int main() {
  made_in_pieces();
  views_outlast_a_rejoin();
  unfinished_is_forgotten();
  a_call_ends();
  far_positions();
  history_of_interleaved();
  every_padding();
  full_to_the_last_byte();
  all_slots();
  loans_and_intruders();
  impossible_slots();
  another_region();
  printf("edges ok\n");
  return 0;
}
