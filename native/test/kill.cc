// Kills processes at every fault point and at random moments, and checks that the survivors neither
// stall, nor see a torn, repeated or missing message, and that nothing is left afterwards.
//
//   kill --scripted N    each point in each scenario, at its 1st to Nth passing
//   kill --random N      N kills at random moments under load
#include <cerrno>
#include <csignal>
#include <map>
#include <set>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../ring/fault.h"
#include "check.h"
#include "stalls.h"

extern char** environ;

using namespace isthmus;
using namespace isthmus::test;

namespace {

constexpr uint64_t kSecond = 1000000000ull;
constexpr uint64_t kHangNs = 5 * kSecond;

Stalls stalls;

RegionOptions region(const std::string& name) {
  RegionOptions options;
  options.name = name;
  options.type = kChannel;
  options.capacity = 1 << 14;
  options.history = 3;
  return options;
}

pid_t start(const char* scenario, const std::string& name, const std::string& point, int countdown) {
  std::string count = std::to_string(countdown);
  const char* args[] = {"/proc/self/exe", "victim", scenario, name.c_str(), point.c_str(), count.c_str(), nullptr};
  pid_t pid = 0;
  int rc = posix_spawn(&pid, args[0], nullptr, nullptr, const_cast<char* const*>(args), environ);
  CHECK(rc == 0, "spawn: %d", rc);
  return pid;
}

// --- what the victims do -------------------------------------------------------------------------

void victim_sends(const std::string& name, uint64_t count) {
  Channel channel;
  HandleOptions handle;
  handle.role = kSender;
  if (channel.open(region(name), handle) != kOk) return;
  std::vector<uint8_t> bytes;
  for (uint64_t i = 0; i < count; i++) {
    fill(bytes, kHeadBytes + mix(i) % (i % 8 == 7 ? 20000 : 900), static_cast<uint64_t>(getpid()), i);
    if (send_wait(channel, bytes.data(), bytes.size(), kHangNs) != kOk) return;
  }
}

void victim_receives(const std::string& name, uint64_t count) {
  Channel channel;
  HandleOptions handle;
  handle.role = kReceiver;
  if (channel.open(region(name), handle) != kOk) return;
  close(channel.bell_fd());
  std::vector<uint8_t> bytes;
  for (uint64_t i = 0; i < count; i++) {
    Message message;
    if (receive_wait(channel, bytes, message, kSecond / 5) != kOk) return;
    CHECK(intact(bytes.data(), message.bytes) && message.missed == 0, "the victim saw a torn or missing message");
  }
}

/** Dies with three slots taken, so that whoever takes the first still finds the others. */
void victim_is_corpse(const std::string& name) {
  Channel channels[3];
  HandleOptions handle;
  handle.role = kReceiver;
  for (Channel& channel : channels) {
    if (channel.open(region(name), handle) == kOk) close(channel.bell_fd());
  }
  raise(SIGKILL);
}

void victim_churns(const std::string& name) {
  Channel holder;
  HandleOptions plain;
  plain.role = kSender;
  if (holder.open(region(name), plain) != kOk) return;
  // Dead receivers for this victim to find, and to be killed over.
  pid_t corpse = start("corpse", name, "", 0);
  int status;
  waitpid(corpse, &status, 0);
  std::vector<uint8_t> bytes;
  for (uint64_t i = 0; i < 20; i++) {
    Channel channel;
    HandleOptions handle;
    handle.role = kSender | kReceiver;
    if (channel.open(region(name), handle) != kOk) return;
    close(channel.bell_fd());
    channel.count(kReceiver);
    channel.wait(Wait::data, 100000);
    Message message;
    bytes.resize(32768);
    channel.receive(bytes.data(), bytes.size(), message);
  }
}

int victim(const char* scenario, const std::string& name, const char* point, int countdown) {
  arm_fault(point, countdown, false);
  if (!strcmp(scenario, "send")) victim_sends(name, 200);
  if (!strcmp(scenario, "receive")) victim_receives(name, 200);
  if (!strcmp(scenario, "corpse")) victim_is_corpse(name);
  if (!strcmp(scenario, "churn")) victim_churns(name);
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
    close(bell_);
    close(sender_bell_);
  }
  void drain() {
    for (;;) {
      Message message;
      Status status = receiver_.receive(bytes_.data(), bytes_.size(), message);
      if (status == kEmpty) return;
      if (status == kLarge) {
        uint64_t size;
        uint8_t* data = receiver_.take_large(size);
        check(data, message);
        free(data);
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
  std::map<uint64_t, uint64_t> next_;
  uint64_t sent_ = 0, received_ = 0, others_ = 0;
  int bell_ = -1, sender_bell_ = -1;
};

bool was_killed(int status) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return true;
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a victim failed by itself: %x", status);
  return false;
}

bool kill_alone(const char* scenario, const std::string& point, int countdown) {
  const std::string name = unique_name("kill");
  pid_t pid = start(scenario, name, point, countdown);
  int status;
  waitpid(pid, &status, 0);
  bool killed = was_killed(status);
  {
    Survivors survivors(name);
    survivors.prove_alive();
    CHECK(survivors.peers() == 2, "the dead is still counted");
  }
  CHECK(nothing_left(name), "files left after %s", point.c_str());
  return killed;
}

bool kill_in_company(const char* scenario, const std::string& point, int countdown) {
  const std::string name = unique_name("kill");
  bool killed = false;
  {
    Survivors survivors(name);
    int status;
    pid_t pid = start(scenario, name, point, countdown);
    while (waitpid(pid, &status, WNOHANG) == 0) survivors.turn();
    killed = was_killed(status);
    survivors.prove_alive();
    CHECK(survivors.peers() == 2, "the dead is still counted");
  }
  CHECK(nothing_left(name), "files left after %s", point.c_str());
  return killed;
}

int scripted(int depth) {
  int points, kills = 0;
  const char* const* names = fault_points(points);
  for (int p = 0; p < points; p++) {
    int here = 0;
    for (int k = 1; k <= depth; k++) {
      // The later passings are spread, so that other states of the ring are met.
      const int countdown = k <= 3 ? k : 3 + (k - 3) * 5;
      for (const char* scenario : {"send", "receive", "churn"}) {
        if (kill_alone(scenario, names[p], countdown)) here++;
        if (kill_in_company(scenario, names[p], countdown)) here++;
      }
    }
    // Needs two processes in the lock's slow path at once; chance decides whether a run meets it.
    const bool by_chance = !strcmp(names[p], "lock.before-wake");
    CHECK(here > 0 || by_chance, "the point %s was never passed", names[p]);
    kills += here;
  }
  return kills;
}

int randomly(int wanted) {
  const std::string name = unique_name("random");
  int kills = 0;
  uint64_t seen = 0;
  {
    Survivors survivors(name);
    std::vector<pid_t> pids(4);
    auto begin = [&](size_t i) { pids[i] = start(i % 2 ? "receive-forever" : "send-forever", name, "", 0); };
    for (size_t i = 0; i < pids.size(); i++) begin(i);
    while (kills < wanted) {
      const uint64_t until = platform::now_ns() + 1000000 + platform::random_64() % 12000000;
      while (platform::now_ns() < until) survivors.turn();
      size_t i = platform::random_64() % pids.size();
      kill(pids[i], SIGKILL);
      int status;
      waitpid(pids[i], &status, 0);
      kills++;
      survivors.prove_alive();
      begin(i);
    }
    for (pid_t pid : pids) {
      kill(pid, SIGKILL);
      int status;
      waitpid(pid, &status, 0);
    }
    survivors.prove_alive();
    CHECK(survivors.peers() == 2, "the dead are still counted");
    seen = survivors.others();
  }
  CHECK(nothing_left(name), "files left");
  printf("%llu messages of the killed checked\n", static_cast<unsigned long long>(seen));
  return kills;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 6 && !strcmp(argv[1], "victim")) return victim(argv[2], argv[3], argv[4], atoi(argv[5]));
  CHECK(argc == 3, "usage: kill --scripted N | --random N");
  int kills = !strcmp(argv[1], "--scripted") ? scripted(atoi(argv[2])) : randomly(atoi(argv[2]));
  stalls.print();
  printf("kill ok: %d kills\n", kills);
  return 0;
}
