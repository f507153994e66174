// The ring under threads, each with a handle of its own: order, content, counts, policies. Run as it is,
// under ThreadSanitizer (all handles on one mapping) and under AddressSanitizer.
#include <atomic>
#include <thread>

#include "../ring/memory.h"
#include "check.h"

using namespace isthmus;
using namespace isthmus::test;

namespace {

constexpr uint64_t kSecond = 1000000000ull;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kCount = 400;
#else
constexpr uint64_t kCount = 4000;
#endif

RegionOptions region(const std::string& name, ChannelType type, uint64_t capacity) {
  RegionOptions options;
  options.name = name;
  options.type = type;
  options.capacity = capacity;
  return options;
}

void open_ok(Channel& channel, const RegionOptions& options, uint32_t role) {
  HandleOptions handle;
  handle.role = role;
  Status status = channel.open(options, handle);
  CHECK(status == kOk, "open gave %d", status);
}

/** Many senders and receivers: every message once, whole, in one order that all receivers agree on. */
void total_order(int senders, int receivers, uint64_t capacity, uint64_t max_bytes, uint64_t count) {
  const RegionOptions options = region(unique_name("order"), kChannel, capacity);
  std::atomic<int> joined{0};
  std::vector<uint64_t> digest(static_cast<size_t>(receivers));
  std::vector<std::thread> threads;
  for (int r = 0; r < receivers; r++) {
    threads.emplace_back([&, r] {
      Channel channel;
      open_ok(channel, options, kReceiver);
      joined++;
      std::vector<uint64_t> next(static_cast<size_t>(senders));
      std::vector<uint8_t> bytes;
      uint64_t sequence = 0;
      for (uint64_t i = 0; i < count * static_cast<uint64_t>(senders); i++) {
        Message message;
        Status status = receive_wait(channel, bytes, message, 60 * kSecond, r % 2 ? kHeadBytes + max_bytes : 0);
        CHECK(status == kOk, "receive gave %d at %llu", status, static_cast<unsigned long long>(i));
        uint64_t sender, number;
        read_head(bytes.data(), sender, number);
        CHECK(intact(bytes.data(), message.bytes), "torn: sender %llu", static_cast<unsigned long long>(sender));
        CHECK(sender < static_cast<uint64_t>(senders) && number == next[sender], "out of order");
        CHECK(message.missed == 0 && message.sequence == sequence, "sequence");
        next[sender]++;
        sequence++;
        digest[static_cast<size_t>(r)] = mix(digest[static_cast<size_t>(r)] ^ (sender << 32 | number));
      }
    });
  }
  while (joined < receivers) platform::yield_processor();
  for (int s = 0; s < senders; s++) {
    threads.emplace_back([&, s] {
      Channel channel;
      open_ok(channel, options, kSender);
      std::vector<uint8_t> bytes;
      for (uint64_t i = 0; i < count; i++) {
        uint64_t size = kHeadBytes + mix(i * 31 + static_cast<uint64_t>(s)) % max_bytes;
        fill(bytes, size, static_cast<uint64_t>(s), i);
        Status status = send_wait(channel, bytes.data(), size, 60 * kSecond);
        CHECK(status == kOk, "send gave %d", status);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint64_t d : digest) CHECK(d == digest[0], "receivers saw different orders");
  CHECK(nothing_left(options.name), "files left");
}

void batches() {
  const RegionOptions options = region(unique_name("batch"), kRoute, 1 << 14);
  Channel receiver;
  open_ok(receiver, options, kReceiver);
  std::thread sender([&] {
    Channel channel;
    open_ok(channel, options, kSender);
    std::vector<uint8_t> slab(1 << 14), bytes;
    uint64_t number = 0;
    while (number < kCount) {
      uint64_t used = 0, n = number;
      while (n < kCount) {
        uint64_t size = kHeadBytes + mix(n) % 200;
        if (used + record_bytes(size) > slab.size()) break;
        fill(bytes, size, 7, n++);
        uint32_t length = static_cast<uint32_t>(size);
        std::memcpy(slab.data() + used, &length, 4);
        std::memcpy(slab.data() + used + sizeof(RecordHeader), bytes.data(), size);
        used += record_bytes(size);
      }
      uint64_t done = 0;
      while (done < used) {
        uint32_t sent;
        uint64_t consumed;
        Status status = channel.send_batch(slab.data() + done, used - done, kSecond, sent, consumed);
        CHECK(status == kOk || status == kFull || status == kBusy, "batch gave %d", status);
        done += consumed;
        number += sent;
        if (status == kFull) channel.wait(Wait::space, 10 * 1000000);
      }
    }
  });
  std::vector<uint8_t> bytes;
  for (uint64_t i = 0; i < kCount; i++) {
    Message message;
    CHECK(receive_wait(receiver, bytes, message, 60 * kSecond) == kOk, "receive");
    uint64_t from, number;
    read_head(bytes.data(), from, number);
    CHECK(from == 7 && number == i && intact(bytes.data(), message.bytes), "content");
  }
  sender.join();
}

/** What was received and what was reported missed make up exactly what was sent. */
void drop_oldest() {
  RegionOptions options = region(unique_name("drop"), kChannel, 1 << 13);
  options.policy = kDropOldest;
  std::atomic<bool> done{false};
  Channel receiver, sender;
  open_ok(receiver, options, kReceiver);
  open_ok(sender, options, kSender);
  const uint64_t total = kCount * 5;
  std::thread thread([&] {
    std::vector<uint8_t> bytes;
    for (uint64_t i = 0; i < total; i++) {
      fill(bytes, kHeadBytes + mix(i) % 300, 1, i);
      CHECK(send_wait(sender, bytes.data(), bytes.size(), 60 * kSecond) == kOk, "a dropping channel never blocks");
      if (i % 500 == 0) platform::sleep_ns(200000);
    }
    done = true;
  });
  uint64_t received = 0, missed = 0, next = 0;
  std::vector<uint8_t> bytes;
  while (next < total) {
    Message message;
    Status status = receive_wait(receiver, bytes, message, 60 * kSecond);
    CHECK(status == kOk, "receive gave %d", status);
    uint64_t from, number;
    read_head(bytes.data(), from, number);
    CHECK(intact(bytes.data(), message.bytes), "torn");
    CHECK(number == next + message.missed && number == message.sequence, "count of missed");
    received++;
    missed += message.missed;
    next = number + 1;
    if (received % 100 == 0) platform::sleep_ns(300000);
  }
  thread.join();
  CHECK(done && received + missed == total && missed > 0, "received %llu missed %llu", (unsigned long long)received,
        (unsigned long long)missed);
}

void evict_after() {
  RegionOptions options = region(unique_name("evict"), kRoute, 1 << 13);
  options.policy = kEvictAfter;
  options.evict_ms = 30;
  Channel slow, fast, sender;
  open_ok(slow, options, kReceiver);
  open_ok(fast, options, kReceiver);
  open_ok(sender, options, kSender);
  std::vector<uint8_t> bytes, got;
  Message message;
  for (uint64_t i = 0; i < 200; i++) {
    fill(bytes, 100, 1, i);
    CHECK(send_wait(sender, bytes.data(), bytes.size(), 5 * kSecond) == kOk, "the sender goes on");
    CHECK(receive_wait(fast, got, message, kSecond) == kOk && message.sequence == i, "the fast one loses nothing");
  }
  CHECK(slow.receive(got.data(), got.size(), message) == kEvictedSelf, "the slow one is told");
  CHECK(sender.count(kReceiver) == 1, "and is no longer counted");
  CHECK(slow.rejoin() == kOk, "it may come back");
  fill(bytes, 100, 1, 200);
  CHECK(send_wait(sender, bytes.data(), bytes.size(), kSecond) == kOk, "send");
  CHECK(receive_wait(slow, got, message, kSecond) == kOk && message.sequence == 200 && message.missed == 0, "rejoined");
}

void history_and_latest() {
  RegionOptions options = region(unique_name("history"), kChannel, 1 << 14);
  options.history = 5;
  Channel sender;
  open_ok(sender, options, kSender);
  std::vector<uint8_t> bytes, got;
  Message message;
  for (uint64_t i = 0; i < 1000; i++) {
    fill(bytes, 64, 1, i);
    CHECK(send_wait(sender, bytes.data(), 64, kSecond) == kOk, "nobody there, nobody to wait for");
  }
  {
    Channel late;
    open_ok(late, options, kReceiver);
    for (uint64_t i = 995; i < 1000; i++) {
      CHECK(receive_wait(late, got, message, kSecond) == kOk && message.sequence == i && message.missed == 0, "history");
    }
    CHECK(late.receive(got.data(), got.size(), message) == kEmpty, "and no more");
  }
  RegionOptions state = region(unique_name("latest"), kChannel, 1 << 12);
  state.policy = kDropOldest;
  state.latest = true;
  state.history = 1;
  Channel writer, reader;
  open_ok(writer, state, kSender);
  fill(bytes, 64, 1, 0);
  CHECK(send_wait(writer, bytes.data(), 64, kSecond) == kOk, "send");
  open_ok(reader, state, kReceiver);
  CHECK(receive_wait(reader, got, message, kSecond) == kOk && message.sequence == 0, "a late reader gets the value");
  for (uint64_t i = 1; i <= 500; i++) {
    fill(bytes, 64, 1, i);
    CHECK(send_wait(writer, bytes.data(), 64, kSecond) == kOk, "send");
  }
  CHECK(receive_wait(reader, got, message, kSecond) == kOk && message.sequence == 500, "only the newest");
  CHECK(reader.receive(got.data(), got.size(), message) == kEmpty, "and only once");
}

void refusals_and_views() {
  const RegionOptions options = region(unique_name("views"), kRoute, 1 << 14);
  Channel sender, second, receiver;
  open_ok(sender, options, kSender);
  HandleOptions handle;
  handle.role = kSender;
  CHECK(second.open(options, handle) == kProducerHeld, "a route has one producer");
  RegionOptions other = options;
  other.type = kChannel;
  CHECK(second.open(other, handle) == kMismatch, "the type is checked");
  open_ok(receiver, options, kReceiver);
  std::vector<uint8_t> bytes;
  uint64_t tickets[3];
  const uint8_t* places[3];
  Message message;
  for (uint64_t i = 0; i < 3; i++) {
    uint8_t* place;
    CHECK(sender.loan(1000, place) == kOk, "loan");
    fill(bytes, 1000, 1, i);
    std::memcpy(place, bytes.data(), 1000);
    CHECK(sender.commit_loan(1000) == kOk, "commit");
    CHECK(receiver.receive_view(places[i], message, tickets[i]) == kOk && message.bytes == 1000, "view");
  }
  fill(bytes, 1000, 1, 99);
  Outgoing out;
  Status status;
  int more = 0;
  do {
    out = Outgoing();
    out.data = bytes.data();
    out.bytes = 1000;
    status = sender.send(out, kSecond, true);
    more++;
  } while (status == kOk && more < 100);
  CHECK(status == kFull, "views hold the ring");
  for (int i = 0; i < 3; i++) CHECK(intact(places[i], 1000), "a view stays as it was");
  for (int i = 2; i >= 0; i--) receiver.release_view(tickets[i]);
  out = Outgoing();
  out.data = bytes.data();
  out.bytes = 1000;
  for (int i = 1; i < more; i++) CHECK(receive_wait(receiver, bytes, message, kSecond) == kOk, "receive");
  sender.close();
  status = second.open(options, handle);
  CHECK(status == kOk, "free again when the first has gone: %d", status);
}

/** A handle that sends and receives misses nothing on a channel that blocks, whatever of its own it passes over. */
void own_large_messages() {
  const RegionOptions options = region(unique_name("own"), kChannel, 1 << 13);
  Channel both, other;
  open_ok(both, options, kSender | kReceiver);
  open_ok(other, options, kSender);
  std::vector<uint8_t> bytes, got;
  Message message;
  for (uint64_t i = 0; i < 20; i++) {
    fill(bytes, 20000, 1, i);
    CHECK(send_wait(both, bytes.data(), bytes.size(), 5 * kSecond) == kOk, "it does not hold itself up");
    fill(bytes, 2100, 1, i);
    Outgoing out;
    out.data = bytes.data();
    out.bytes = bytes.size();
    CHECK(both.send(out, kSecond, true) == kOk, "nor when all of it has to go at once");
    fill(bytes, 100, 2, i);
    CHECK(send_wait(other, bytes.data(), bytes.size(), kSecond) == kOk, "send");
    CHECK(receive_wait(both, got, message, kSecond) == kOk && intact(got.data(), message.bytes), "receive");
    CHECK(message.missed == 0, "%llu missed", static_cast<unsigned long long>(message.missed));
  }
}

/** Rejoining changes nothing when it fails, and loses no protection while it lasts. */
void rejoin_without_eviction() {
  const RegionOptions options = region(unique_name("rejoin"), kChannel, 1 << 12);
  Channel receiver, sender;
  open_ok(receiver, options, kReceiver);
  open_ok(sender, options, kSender);
  std::atomic<bool> done{false};
  std::thread thread([&] {
    std::vector<uint8_t> bytes;
    for (uint64_t i = 0; i < kCount; i++) {
      fill(bytes, kHeadBytes + mix(i) % 600, 1, i);
      CHECK(send_wait(sender, bytes.data(), bytes.size(), 60 * kSecond) == kOk, "send");
    }
    done = true;
  });
  std::vector<uint8_t> got;
  uint64_t turn = 0;
  for (;;) {
    Message message;
    const bool last = done;
    if (++turn % 7 == 0) CHECK(receiver.rejoin() == kOk, "rejoin");
    Status status = receive_wait(receiver, got, message, 1000000);
    if (status == kEmpty && last) break;
    if (status == kEmpty) continue;
    CHECK(status == kOk && intact(got.data(), message.bytes) && message.missed == 0, "receive gave %d", status);
  }
  thread.join();
}

/** Blocks that were given back come again, those that are held never; in threads, as workers use it. */
void memory_is_kept() {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([t] {
      std::vector<std::pair<uint8_t*, size_t>> held;
      for (uint64_t i = 0; i < kCount; i++) {
        const size_t bytes = 1 + mix(i * 7 + static_cast<uint64_t>(t)) % 200000;
        uint8_t* block = take_memory(bytes);
        CHECK(block != nullptr, "no memory");
        std::memset(block, t + 1, bytes);
        held.emplace_back(block, bytes);
        if (held.size() < 20) continue;
        const size_t which = mix(i) % held.size();
        auto [old, size] = held[which];
        CHECK(old[0] == t + 1 && old[size - 1] == t + 1 && old[size / 2] == t + 1, "a block was given to two");
        give_memory(old, size);
        held[which] = held.back();
        held.pop_back();
        if (i % 100 == 0) trim_memory();
      }
      for (auto [block, size] : held) give_memory(block, size);
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint8_t* block = take_memory(kLargestKeptBytes);
  give_memory(block, kLargestKeptBytes);
  CHECK(take_memory(kLargestKeptBytes) == block, "what was given back last comes first");
  give_memory(block, kLargestKeptBytes);
}

void churn() {
  const RegionOptions options = region(unique_name("churn"), kChannel, 1 << 14);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      std::vector<uint8_t> bytes;
      for (int i = 0; i < 100; i++) {
        Channel channel;
        open_ok(channel, options, kSender | kReceiver);
        fill(bytes, 64, 1, 1);
        send_wait(channel, bytes.data(), 64, kSecond);
        Message message;
        channel.receive(bytes.data(), bytes.size(), message);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(nothing_left(options.name), "files left");
}

}  // namespace

int main() {
  total_order(1, 1, 1 << 12, 600, kCount);
  total_order(8, 8, 1 << 16, 400, kCount / 4);
  total_order(3, 3, 1 << 14, 60000, kCount / 10);
  total_order(1, 2, 1 << 16, 300000, kCount / 10);
  batches();
  drop_oldest();
  evict_after();
  history_and_latest();
  refusals_and_views();
  own_large_messages();
  rejoin_without_eviction();
  churn();
  memory_is_kept();
  printf("stress ok\n");
  return 0;
}
