// Victims, which are killed or stopped at a point or at any moment, and survivors, who check that they neither
// stall nor see a torn, repeated or missing message.
#pragma once

#include <map>

#include "../ring/fault.h"
#include "check.h"
#include "child.h"
#include "stalls.h"

namespace isthmus::test {

constexpr uint64_t kSecond = 1000000000ull;
constexpr uint64_t kHangNs = 5 * kSecond;

inline Stalls stalls;

inline RegionOptions region(const std::string& name) {
  RegionOptions options;
  options.name = name;
  options.type = kChannel;
  options.capacity = 1 << 14;
  options.history = 3;
  return options;
}

inline Child start(const char* scenario, const std::string& name, const std::string& point, int countdown) {
  return Child({"victim", scenario, name, point, std::to_string(countdown)});
}

inline void close_bell(Channel& channel) { platform::close_file(channel.bell_fd()); }

// --- what the victims do -------------------------------------------------------------------------

inline void victim_sends(const std::string& name, uint64_t count) {
  Channel channel;
  HandleOptions handle;
  handle.role = kSender;
  Status status = channel.open(region(name), handle);
  CHECK(status == kOk, "the victim's open gave %d", status);
  std::vector<uint8_t> bytes;
  // Not the process's id: in a long run another victim gets the same.
  const uint64_t self = platform::random_64() | 1;
  for (uint64_t i = 0; i < count; i++) {
    fill(bytes, kHeadBytes + mix(i) % (i % 8 == 7 ? 20000 : 900), self, i);
    status = send_wait(channel, bytes.data(), bytes.size(), 12 * kHangNs);
    CHECK(status == kOk, "the victim's send gave %d", status);
  }
}

inline void victim_receives(const std::string& name, uint64_t count) {
  Channel channel;
  HandleOptions handle;
  handle.role = kReceiver;
  Status status = channel.open(region(name), handle);
  CHECK(status == kOk, "the victim's open gave %d", status);
  close_bell(channel);
  std::vector<uint8_t> bytes;
  for (uint64_t i = 0; i < count; i++) {
    Message message;
    status = receive_wait(channel, bytes, message, kSecond / 5);
    if (status == kEmpty) return;
    CHECK(status == kOk, "the victim's receive gave %d", status);
    CHECK(intact(bytes.data(), message.bytes) && message.missed == 0, "the victim saw a torn or missing message");
  }
}

/** Dies with three slots taken, so that whoever takes the first still finds the others. */
inline void victim_is_corpse(const std::string& name) {
  Channel channels[3];
  HandleOptions handle;
  handle.role = kReceiver;
  for (Channel& channel : channels) {
    if (channel.open(region(name), handle) == kOk) close_bell(channel);
  }
  platform::end_process(false);
}

inline void victim_churns(const std::string& name) {
  Channel holder;
  HandleOptions plain;
  plain.role = kSender;
  Status status = holder.open(region(name), plain);
  CHECK(status == kOk, "the victim's open gave %d", status);
  // Dead receivers for this victim to find, and to be killed over.
  CHECK(start("corpse", name, "", 0).end() == Fate::killed, "the corpse lives");
  std::vector<uint8_t> bytes;
  for (uint64_t i = 0; i < 20; i++) {
    Channel channel;
    HandleOptions handle;
    handle.role = kSender | kReceiver;
    status = channel.open(region(name), handle);
    CHECK(status == kOk, "the victim's open gave %d", status);
    close_bell(channel);
    channel.count(kReceiver);
    channel.wait(Wait::data, 100000);
    Message message;
    bytes.resize(32768);
    channel.receive_into(bytes.data(), bytes.size(), message);
  }
}

/** With a countdown below zero it is stopped at the point, not killed. */
inline int victim(const char* scenario, const std::string& name, const char* point, int countdown) {
  die_with_parent();
  arm_fault(point, countdown < 0 ? -countdown : countdown, countdown < 0);
  if (!strcmp(scenario, "send")) victim_sends(name, 200);
  if (!strcmp(scenario, "receive")) victim_receives(name, 200);
  if (!strcmp(scenario, "corpse")) victim_is_corpse(name);
  if (!strcmp(scenario, "churn")) victim_churns(name);
  if (!strcmp(scenario, "leave")) victim_receives(name, 0);
  if (!strcmp(scenario, "send-forever")) victim_sends(name, ~0ull);
  if (!strcmp(scenario, "receive-forever")) {
    for (;;) victim_receives(name, ~0ull);
  }
  return 0;
}

// --- what the survivors check --------------------------------------------------------------------

class Survivors {
 public:
  explicit Survivors(const std::string& name) {
    HandleOptions handle;
    handle.role = kReceiver;
    Status status = receiver_.open(region(name), handle);
    CHECK(status == kOk, "receiver: %d", status);
    bell_ = receiver_.bell_fd();
    handle.role = kSender;
    status = sender_.open(region(name), handle);
    CHECK(status == kOk, "sender: %d", status);
    sender_bell_ = sender_.bell_fd();
    watcher_.open(region(name));
    // What the history gave is of those who were here before; numbers are checked from their first on.
    drain();
  }
  ~Survivors() {
    platform::close_file(bell_);
    platform::close_file(sender_bell_);
  }
  void drain() {
    for (;;) {
      Message message;
      Status status = drains_++ % 2 ? receiver_.receive_into(bytes_.data(), bytes_.size(), message)
                                    : receiver_.receive(bytes_.data(), bytes_.size(), message);
      if (status == kEmpty) return;
      if (status == kLarge) {
        uint64_t size;
        uint8_t* data = receiver_.take_large(size);
        check(data, message);
        give_memory(data, size);
        continue;
      }
      CHECK(status == kOk, "receive gave %d", status);
      check(bytes_.data(), message);
    }
  }
  bool send() {
    fill(out_, kHeadBytes + mix(sent_) % 700, kSelf, sent_);
    Outgoing out;
    out.data = out_.data();
    out.bytes = out_.size();
    Status status = sender_.send(out, 20 * 1000000, true);
    CHECK(status == kOk || status == kFull || status == kBusy, "send gave %d", status);
    if (status == kFull) sender_.arm(Wait::space);
    if (status == kOk) sent_++;
    return status == kOk;
  }
  /** One turn of an ordinary life. */
  void turn() {
    receiver_.arm(Wait::data);
    sender_.arm(Wait::space);
    send();
    drain();
  }
  /** Asks to be woken, and leaves it to others to do so. */
  void listen() {
    receiver_.arm(Wait::data);
    platform::sleep_ns(200000);
    drain();
  }
  /** Forty messages through, as fast as it goes; remembers the longest time. */
  void prove_alive() {
    Recovery recovery(watcher_);
    for (int i = 0; i < 40; i++) {
      while (!send()) {
        drain();
        CHECK(recovery.so_far_ns() < kHangNs, "the sender hangs");
        platform::sleep_ns(200000);
        recovery.look();
      }
      drain();
    }
    CHECK(received_ == sent_, "sent %llu, received %llu", (unsigned long long)sent_, (unsigned long long)received_);
    recovery.end(stalls);
    CHECK(receiver_.count(kSender | kReceiver) >= 2, "the survivors are counted");
  }
  Status try_once(uint64_t lock_ns) {
    fill(out_, kHeadBytes, kSelf, sent_);
    Outgoing out;
    out.data = out_.data();
    out.bytes = out_.size();
    Status status = sender_.send(out, lock_ns, true);
    if (status == kOk) sent_++;
    return status;
  }
  uint32_t peers() { return receiver_.count(kSender | kReceiver); }
  uint64_t others() const { return others_; }

 private:
  static constexpr uint64_t kSelf = 0;
  void check(const uint8_t* data, const Message& message) {
    CHECK(message.bytes >= kHeadBytes && intact(data, message.bytes), "torn message of %llu bytes", (unsigned long long)message.bytes);
    CHECK(message.missed == 0, "%llu missing", (unsigned long long)message.missed);
    uint64_t sender, number;
    read_head(data, sender, number);
    if (sender == kSelf) {
      CHECK(number == received_, "own message %llu instead of %llu", (unsigned long long)number, (unsigned long long)received_);
      received_++;
      return;
    }
    others_++;
    auto found = next_.find(sender);
    if (found == next_.end()) found = next_.emplace(sender, number).first;
    CHECK(number == found->second, "sender %llu: message %llu instead of %llu", (unsigned long long)sender,
          (unsigned long long)number, (unsigned long long)found->second);
    found->second++;
  }
  Watcher watcher_;
  Channel receiver_, sender_;
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(32768), out_;
  uint64_t drains_ = 0;
  std::map<uint64_t, uint64_t> next_;
  uint64_t sent_ = 0, received_ = 0, others_ = 0;
  int bell_ = -1, sender_bell_ = -1;
};

}  // namespace isthmus::test
