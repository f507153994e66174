// Everything at once, from a seed: processes that open, send, lend, receive, view, rejoin, count and leave in any
// order on channels of every kind, and are killed and stopped at any moment meanwhile.
//
//   storm SECONDS [SEED]
#include <csignal>
#include <memory>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "follower.h"

extern char** environ;

using namespace isthmus;
using namespace isthmus::test;

namespace {

constexpr uint64_t kSecond = 1000000000ull;
constexpr uint64_t kPatienceNs = 20 * kSecond;

struct Random {
  uint64_t state;
  uint64_t below(uint64_t limit) {
    state += 0x9e3779b97f4a7c15ull;
    return mix(state) % limit;
  }
};

RegionOptions region(const std::string& name, uint64_t seed) {
  Random random{seed};
  RegionOptions options;
  options.name = name;
  options.type = random.below(4) == 0 ? kRoute : kChannel;
  options.policy = static_cast<Policy>(random.below(3));
  options.capacity = kMinCapacity << random.below(5);
  options.evict_ms = static_cast<uint32_t>(1 + random.below(20));
  options.latest = options.policy == kDropOldest && random.below(3) == 0;
  options.history = options.latest ? 1 : static_cast<uint32_t>(random.below(3) * random.below(6));
  return options;
}

/** One handle, and what it has to find. */
class Actor {
 public:
  Actor(const RegionOptions& options, Random& random) : options_(options), random_(random) {}

  void act() {
    if (!channel_) return join();
    switch (random_.below(16)) {
      case 0: if (random_.below(8) == 0) leave(); break;
      case 1: channel_->count(kReceiver); break;
      case 2: channel_->evict_dead(); break;
      case 3: channel_->arm(static_cast<Wait>(random_.below(3))); break;
      case 4: channel_->disarm(static_cast<Wait>(random_.below(3))); break;
      case 5: channel_->wait(static_cast<Wait>(random_.below(3)), random_.below(300000)); break;
      case 6: if (role_ & kReceiver && random_.below(20) == 0) rejoin(); break;
      case 7: case 8: case 9: if (role_ & kSender) send(); break;
      case 10: if (role_ & kSender) batch(); break;
      case 11: if (role_ & kSender && options_.type == kRoute && options_.policy == kBlock) lend(); break;
      case 12: view(); break;
      case 13: release(); break;
      default: receive(1 + random_.below(20)); break;
    }
  }

  void leave() {
    release();
    channel_.reset();
  }

  /** Somebody who blocks others for long fails the test. */
  void receive(uint64_t most) {
    if (!channel_ || !(role_ & kReceiver)) return;
    std::vector<uint8_t> room(random_.below(3) == 0 ? 60000 : 600);
    for (uint64_t i = 0; i < most; i++) {
      Message message;
      const Status status = random_.below(2) == 0 ? channel_->receive(room.data(), room.size(), message)
                                                  : channel_->receive_into(room.data(), room.size(), message);
      if (status == kEmpty) return;
      if (status == kNeedsSpace) {
        room.resize(message.bytes);
        continue;
      }
      if (status == kEvictedSelf) return rejoin();
      uint64_t bytes = message.bytes;
      uint8_t* large = status == kLarge ? channel_->take_large(bytes) : nullptr;
      CHECK(status == kOk || status == kLarge, "receive gave %d", status);
      follower_.check(large ? large : room.data(), message);
      give_memory(large, bytes);
    }
  }

  void release() {
    while (!views_.empty()) {
      const size_t i = random_.below(views_.size());
      CHECK(intact(views_[i].place, views_[i].bytes), "a view of %llu bytes was overwritten", (unsigned long long)views_[i].bytes);
      channel_->release_view(views_[i].ticket);
      views_.erase(views_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

 private:
  struct View {
    const uint8_t* place;
    uint64_t bytes, ticket;
  };

  void join() {
    channel_ = std::make_unique<Channel>();
    HandleOptions handle;
    handle.role = role_ = static_cast<uint32_t>(1 + random_.below(3));
    handle.echo = random_.below(2) == 0;
    handle.peer_name = "storm";
    const Status status = channel_->open(options_, handle);
    CHECK(status == kOk || status == kProducerHeld || status == kBusy, "open gave %d", status);
    if (status != kOk) return channel_.reset();
    id_ = platform::random_64();
    number_ = 0;
    // Of a message that had begun before it came it passes over the rest.
    follower_ = Follower(options_.policy == kBlock, false);
    out_ = Outgoing();
    if (random_.below(2) == 0) platform::close_file(channel_->bell_fd());
  }

  void rejoin() {
    const Status status = channel_->rejoin();
    CHECK(status == kOk || status == kBusy, "rejoin gave %d", status);
    if (status == kOk) follower_.begin_anew();
  }

  /** Goes on with what was begun, or gives it up. */
  void send() {
    const bool goes_on = out_.begun && random_.below(4) != 0;
    if (!goes_on) {
      const uint64_t most = options_.latest ? channel_->inline_limit() : random_.below(6) == 0 ? 3 * options_.capacity : options_.capacity / 4;
      fill(bytes_, kHeadBytes + random_.below(most - kHeadBytes + 1), id_, number_);
      out_ = Outgoing();
      out_.data = bytes_.data();
      out_.bytes = bytes_.size();
    }
    const bool whole = !out_.begun && random_.below(3) == 0;
    const Status status = channel_->send(out_, 20000000, whole);
    CHECK(status == kOk || status == kFull || status == kBusy || (whole && status == kTooLarge), "send gave %d", status);
    if (status == kOk) number_++;
    if (status == kOk || status == kTooLarge) out_ = Outgoing();
    if (status == kFull) channel_->wait(Wait::space, 100000);
  }

  void batch() {
    out_ = Outgoing();
    std::vector<uint8_t> slab, data;
    const uint64_t count = 1 + random_.below(20);
    for (uint64_t i = 0; i < count; i++) {
      fill(data, kHeadBytes + random_.below(300), id_, number_ + i);
      const size_t at = slab.size();
      slab.resize(at + record_bytes(data.size()));
      const uint32_t length = static_cast<uint32_t>(data.size());
      std::memcpy(slab.data() + at, &length, 4);
      std::memcpy(slab.data() + at + sizeof(RecordHeader), data.data(), data.size());
    }
    uint32_t sent;
    uint64_t consumed;
    const Status status = channel_->send_batch(slab.data(), slab.size(), 20000000, sent, consumed);
    CHECK(status == kOk || status == kFull || status == kBusy, "batch gave %d", status);
    number_ += sent;
  }

  void lend() {
    out_ = Outgoing();
    uint8_t* place;
    const uint64_t bytes = kHeadBytes + 1 + random_.below(channel_->inline_limit() - kHeadBytes);
    const Status status = channel_->loan(bytes, place);
    CHECK(status == kOk || status == kFull || status == kBusy, "loan gave %d", status);
    if (status != kOk) return;
    const uint64_t used = kHeadBytes + random_.below(bytes - kHeadBytes + 1);
    fill(bytes_, used, id_, number_);
    std::memcpy(place, bytes_.data(), used);
    if (random_.below(4) == 0) return channel_->drop_loan();
    const Status committed = channel_->commit_loan(used);
    CHECK(committed == kOk || committed == kBusy, "commit gave %d", committed);
    if (committed == kOk) number_++;
    else channel_->drop_loan();
  }

  void view() {
    if (!(role_ & kReceiver) || options_.policy != kBlock || views_.size() > 3) return;
    const uint8_t* place;
    uint64_t ticket;
    Message message;
    const Status status = channel_->receive_view(place, message, ticket);
    if (status == kEmpty) return;
    CHECK(status == kOk || status == kLarge, "view gave %d", status);
    uint64_t bytes = message.bytes;
    uint8_t* large = status == kLarge ? channel_->take_large(bytes) : nullptr;
    follower_.check(large ? large : place, message);
    if (large) give_memory(large, bytes);
    else views_.push_back({place, bytes, ticket});
  }

  RegionOptions options_;
  Random& random_;
  std::unique_ptr<Channel> channel_;
  uint32_t role_ = 0;
  Follower follower_{true, true};
  Outgoing out_;
  std::vector<uint8_t> bytes_;
  std::vector<View> views_;
  uint64_t id_ = 0, number_ = 0;
};

/** Threads of handles, until it is killed or told to end. */
int storm(const char* name, uint64_t kind, uint64_t seed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const RegionOptions options = region(name, kind);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 1 + seed % 2; t++) {
    threads.emplace_back([&, t] {
      Random random{mix(seed + t)};
      Actor actors[3] = {{options, random}, {options, random}, {options, random}};
      for (;;) {
        actors[random.below(3)].act();
        // Nobody holds others up for long: views go, and everybody reads.
        if (random.below(20) == 0) {
          for (Actor& actor : actors) {
            actor.release();
            actor.receive(1000);
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

pid_t start(const std::string& name, uint64_t kind, uint64_t seed) {
  const std::string numbers[] = {std::to_string(kind), std::to_string(seed)};
  const char* args[] = {"/proc/self/exe", "storm", name.c_str(), numbers[0].c_str(), numbers[1].c_str(), nullptr};
  pid_t pid = 0;
  CHECK(posix_spawn(&pid, args[0], nullptr, nullptr, const_cast<char* const*>(args), environ) == 0, "spawn");
  return pid;
}

void end(pid_t pid) {
  kill(pid, SIGKILL);
  int status;
  CHECK(waitpid(pid, &status, 0) == pid, "wait");
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "one of the storm failed by itself: %x", status);
}

/** Gives how many were killed. */
uint64_t weather(uint64_t seed) {
  const std::string name = unique_name("storm");
  const RegionOptions options = region(name, seed);
  printf("seed %llu: type %d, policy %d, capacity %llu, history %u, latest %d\n", (unsigned long long)seed, options.type,
         options.policy, (unsigned long long)options.capacity, options.history, options.latest);
  fflush(stdout);
  Random random{seed};
  uint64_t kills = 0;
  {
    Channel receiver, sender;
    HandleOptions handle;
    handle.role = kReceiver;
    CHECK(receiver.open(options, handle) == kOk, "open");
    Follower follower(options.policy == kBlock, true);
    if (options.history > 0) follower.begin_anew();
    std::vector<pid_t> pids;
    for (int i = 0; i < 3; i++) pids.push_back(start(name, seed, random.below(1ull << 40)));
    std::vector<uint8_t> room(1 << 18);
    const auto drain = [&] {
      for (;;) {
        Message message;
        const Status status = receiver.receive(room.data(), room.size(), message);
        if (status == kEmpty) return;
        if (status == kEvictedSelf) {
          const Status back = receiver.rejoin();
          CHECK(back == kOk || back == kBusy, "rejoin gave %d", back);
          follower = Follower(false, false);
          return;
        }
        uint64_t bytes = message.bytes;
        uint8_t* large = status == kLarge ? receiver.take_large(bytes) : nullptr;
        CHECK(status == kOk || status == kLarge, "receive gave %d", status);
        follower.check(large ? large : room.data(), message);
        give_memory(large, bytes);
      }
    };
    const uint64_t until = platform::now_ns() + kSecond;
    while (platform::now_ns() < until) {
      const uint64_t pause = platform::now_ns() + random.below(30000000);
      while (platform::now_ns() < pause) drain();
      const size_t i = random.below(pids.size());
      if (random.below(3) == 0) {
        kill(pids[i], SIGSTOP);
        const uint64_t stopped = platform::now_ns() + random.below(40000000);
        while (platform::now_ns() < stopped) drain();
        kill(pids[i], random.below(2) == 0 ? SIGKILL : SIGCONT);
        int status;
        if (waitpid(pids[i], &status, WNOHANG) != pids[i]) continue;
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "one of the storm failed by itself: %x", status);
      } else {
        end(pids[i]);
      }
      kills++;
      pids[i] = start(name, seed, random.below(1ull << 40));
    }
    for (pid_t pid : pids) end(pid);
    kills += pids.size();
    // Afterwards all is as if nobody had been here.
    handle.role = kSender;
    CHECK(sender.open(options, handle) == kOk, "a sender comes");
    const uint64_t began = platform::now_ns();
    for (uint64_t i = 0; i < 40; i++) {
      fill(room, 64 + i * 10, 1, i);
      for (;;) {
        Outgoing out;
        out.data = room.data();
        out.bytes = 64 + i * 10;
        const Status status = sender.send(out, 20000000, true);
        if (status == kOk) break;
        CHECK(status == kFull || status == kBusy, "send gave %d", status);
        CHECK(platform::now_ns() - began < kPatienceNs, "the sender hangs");
        room.resize(1 << 18);
        drain();
        fill(room, 64 + i * 10, 1, i);
      }
      room.resize(1 << 18);
      drain();
    }
    CHECK(receiver.count(kSender | kReceiver) == 2, "%u are counted", receiver.count(kSender | kReceiver));
    CHECK(options.policy != kBlock || follower.received_of(1) == 40, "the last got %llu", (unsigned long long)follower.received_of(1));
  }
  CHECK(nothing_left(name), "files left");
  return kills;
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 5 && !strcmp(argv[1], "storm")) return storm(argv[2], strtoull(argv[3], nullptr, 10), strtoull(argv[4], nullptr, 10));
  CHECK(argc >= 2, "usage: storm SECONDS [SEED]");
  const uint64_t until = platform::now_ns() + strtoull(argv[1], nullptr, 10) * kSecond;
  uint64_t seed = argc > 2 ? strtoull(argv[2], nullptr, 10) : platform::random_64() >> 1;
  uint64_t kills = 0, regions = 0;
  do {
    kills += weather(seed);
    regions++;
    seed = mix(seed) >> 1;
  } while (platform::now_ns() < until);
  printf("storm ok: %llu kills in %llu regions\n", static_cast<unsigned long long>(kills), static_cast<unsigned long long>(regions));
  return 0;
}
