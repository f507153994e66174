// Checks what one receiver gets: whole messages, numbers without a gap that was not announced, and the messages of
// each sender in the order in which it sent them.
#pragma once

#include <map>

#include "check.h"

namespace isthmus::test {

class Follower {
 public:
  /** `strict`: the channel blocks, so that nothing may be missing; `sees_all`: no message of its own is passed over. */
  Follower(bool strict, bool sees_all) : strict_(strict), sees_all_(sees_all) {}

  /** After a join whose first number is not known. */
  void begin_anew() {
    known_ = false;
    next_of_.clear();
  }

  void check(const uint8_t* data, const Message& message) {
    CHECK(message.bytes >= kHeadBytes && intact(data, message.bytes), "torn message of %llu bytes", (unsigned long long)message.bytes);
    CHECK(!strict_ || message.missed == 0, "%llu missed before %llu", (unsigned long long)message.missed, (unsigned long long)message.sequence);
    if (known_) {
      CHECK(message.sequence >= next_ + message.missed, "%llu after %llu", (unsigned long long)message.sequence, (unsigned long long)next_ - 1);
      CHECK(!sees_all_ || message.sequence == next_ + message.missed, "%llu after %llu with %llu missed",
            (unsigned long long)message.sequence, (unsigned long long)next_ - 1, (unsigned long long)message.missed);
    }
    known_ = true;
    next_ = message.sequence + 1;
    uint64_t sender, number;
    read_head(data, sender, number);
    const auto found = next_of_.find(sender);
    if (found != next_of_.end()) {
      CHECK(strict_ ? number == found->second : number >= found->second, "message %llu of a sender instead of %llu",
            (unsigned long long)number, (unsigned long long)found->second);
    }
    next_of_[sender] = number + 1;
    count_of_[sender]++;
  }

  uint64_t received_of(uint64_t sender) const {
    const auto found = count_of_.find(sender);
    return found == count_of_.end() ? 0 : found->second;
  }

 private:
  bool strict_, sees_all_;
  bool known_ = false;
  uint64_t next_ = 0;
  std::map<uint64_t, uint64_t> next_of_, count_of_;
};

}  // namespace isthmus::test
