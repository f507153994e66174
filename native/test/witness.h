// Who looks on while a process is killed between two instructions: everything it gets has to be whole and in order,
// and afterwards all has to go on.
#pragma once

#include <algorithm>

#include "prey.h"

namespace isthmus::test {

class Witness {
 public:
  Witness(const Scene& scene, const std::string& name) : scene_(scene), options_(region(scene, name)) {
    // Of a scene in which the region is made and removed, and a route's first producer, the witness comes later.
    if (!is(scene, "last")) enter();
    for (int i = 0; i < scene.unread; i++) send(200, 0);
  }
  void enter() {
    open_ok(receiver_, options_, kReceiver);
    if (options_.type == kChannel) open_ok(sender_, options_, kSender);
    next_known_ = options_.history == 0;
    next_ = receiver_.next_sequence();
  }
  Status send(uint64_t bytes, uint64_t lock_ns) {
    std::vector<uint8_t> data;
    fill(data, bytes, kWitness, sent_);
    Outgoing out;
    out.data = data.data();
    out.bytes = bytes;
    const Status status = sender_.send(out, lock_ns, true);
    CHECK(status == kOk || status == kFull || status == kBusy, "send gave %d", status);
    if (status == kOk) sent_++;
    return status;
  }
  void drain(Channel& receiver) {
    std::vector<uint8_t> room(4000);
    for (;;) {
      Message message;
      Status status = receiver.receive(room.data(), room.size(), message);
      if (status == kEmpty) return;
      if (status == kEvictedSelf) {
        CHECK(scene_.policy == kEvictAfter, "evicted");
        // Not while somebody is stopped who may hold the lock.
        if (waits_) return;
        CHECK(receiver.rejoin() == kOk, "rejoin");
        next_known_ = false;
        received_ = sent_;
        continue;
      }
      const uint8_t* data = room.data();
      uint8_t* large = nullptr;
      uint64_t bytes = message.bytes;
      if (status == kLarge) data = large = receiver.take_large(bytes);
      else CHECK(status == kOk, "receive gave %d", status);
      check(data, message);
      give_memory(large, bytes);
    }
  }
  void drain() { drain(receiver_); }
  void drain_if_open() {
    if (receiver_.is_open()) drain();
    else platform::sleep_ns(100000);
  }
  void try_once(uint64_t lock_ns) {
    if (sender_.is_open()) send(300, lock_ns);
  }
  void check(const uint8_t* data, const Message& message) {
    CHECK(intact(data, message.bytes), "torn message of %llu bytes", (unsigned long long)message.bytes);
    const bool loses = scene_.policy != kBlock;
    CHECK(loses || message.missed == 0, "%llu missed", (unsigned long long)message.missed);
    CHECK(!next_known_ || message.sequence == next_ + message.missed, "%llu comes after %llu, with %llu missed",
          (unsigned long long)message.sequence, (unsigned long long)next_ - 1, (unsigned long long)message.missed);
    next_ = message.sequence + 1;
    next_known_ = true;
    uint64_t sender, number;
    read_head(data, sender, number);
    if (sender != kWitness) return;
    CHECK(loses ? number >= received_ : number == received_, "own message %llu", (unsigned long long)number);
    received_ = number + 1;
  }
  void prove_alive(bool route_is_free) {
    if (is(scene_, "last") && !receiver_.is_open()) enter();
    if (options_.type == kRoute && route_is_free && !sender_.is_open()) open_ok(sender_, options_, kSender);
    if (!sender_.is_open()) return drain();
    const uint64_t began = platform::now_ns();
    for (int i = 0; i < 40; i++) {
      while (send(100 + mix(sent_) % 800, 30000000) != kOk) {
        drain();
        CHECK(platform::now_ns() - began < 5 * kSecond, "the sender hangs");
      }
      drain();
    }
    CHECK(received_ == sent_, "sent %llu, received %llu", (unsigned long long)sent_, (unsigned long long)received_);
    slowest_ns = std::max(slowest_ns, platform::now_ns() - began);
    // Whoever comes late finds a history that is whole, and agrees with the others on the next number.
    Channel late;
    open_ok(late, options_, kReceiver);
    const uint64_t before = next_;
    const bool known = next_known_;
    next_known_ = false;
    const uint64_t received = received_;
    if (options_.history > 0) received_ = received_ > options_.history ? received_ - options_.history : 0;
    drain(late);
    CHECK(options_.history == 0 || (received_ == received && next_ == before), "the history ends at %llu", (unsigned long long)next_);
    next_ = before;
    next_known_ = known;
    late.close();
    drain();
  }
  /** Whether somebody is stopped. */
  void wait(bool waits) { waits_ = waits; }
  uint32_t peers() { return receiver_.count(kSender | kReceiver); }
  static inline uint64_t slowest_ns = 0;

 private:
  const Scene& scene_;
  RegionOptions options_;
  Channel receiver_, sender_;
  uint64_t sent_ = 0, received_ = 0, next_ = 0;
  bool next_known_ = false, waits_ = false;
};

}  // namespace isthmus::test
