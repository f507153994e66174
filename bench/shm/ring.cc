// The ring from C++ to C++: what is there before Node comes in. Every party is a process.
//
//   ring flow <bytes> <senders> <receivers> <seconds>   {"rate": deliveries a second, "cpuNs": for each delivery}
//   ring trip <bytes> <spin|sleep> <seconds> [pin]      {"p50": µs, "p99": µs}; pin: each on a core of its own
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "../../native/ring/channel.h"
#include "../../native/ring/memory.h"

using namespace isthmus;

namespace {

constexpr uint64_t kWarmNs = 200 * 1000000ull;
constexpr uint64_t kSpinNs = 50000;

struct Shared {
  std::atomic<bool> stop;
  std::atomic<uint32_t> done;
  std::atomic<uint64_t> deliveries, cpu_ns;
  std::atomic<uint64_t> rate;
};

uint64_t cpu_ns() {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

[[noreturn]] void fail(const char* what) {
  fprintf(stderr, "ring: %s\n", what);
  exit(1);
}

void open(Channel& channel, const std::string& name, ChannelType type, uint32_t role) {
  RegionOptions region;
  region.name = name;
  region.type = type;
  region.capacity = 4 << 20;
  HandleOptions handle;
  handle.role = role;
  if (channel.open(region, handle) != kOk) fail("cannot open");
}

void send(Channel& channel, const uint8_t* data, uint64_t bytes, bool spin) {
  Outgoing out;
  out.data = data;
  out.bytes = bytes;
  while (channel.send(out, 1000000000, false) != kOk) {
    if (!spin || !channel.spin(Wait::space, kSpinNs)) channel.wait(Wait::space, 10 * 1000000);
  }
}

/** Waits for the next message and looks at its first and last byte; false when there is none any more. */
bool receive(Channel& channel, std::vector<uint8_t>& place, uint64_t bytes, bool spin, const std::atomic<bool>* stop) {
  for (;;) {
    Message message;
    const uint8_t* data = place.data();
    uint8_t* large = nullptr;
    Status status = channel.receive(place.data(), place.size(), message);
    if (status == kLarge) {
      uint64_t size;
      data = large = channel.take_large(size);
    }
    if (status == kOk || status == kLarge) {
      const bool right = message.bytes == bytes && (bytes == 0 || (data[0] == 1 && data[bytes - 1] == 1));
      if (large) give_memory(large, message.bytes);
      if (!right) fail("a message is not what was sent");
      return true;
    }
    if (status != kEmpty) fail("cannot receive");
    if (stop && stop->load(std::memory_order_relaxed)) return false;
    if (!spin || !channel.spin(Wait::data, kSpinNs)) channel.wait(Wait::data, 10 * 1000000);
  }
}

void receiver(Shared& shared, const std::string& name, ChannelType type, uint64_t bytes, uint64_t window_ns) {
  Channel channel;
  open(channel, name, type, kReceiver);
  std::vector<uint8_t> place(bytes + 16);
  uint64_t count = 0, began = 0, cpu = 0;
  const uint64_t look = bytes >= 65536 ? 1 : 64;
  uint64_t first = 0, ended = 0;
  while (receive(channel, place, bytes, true, &shared.stop)) {
    if (++first % look != 0 || ended) continue;
    const uint64_t now = platform::now_ns();
    if (began == 0) began = now + kWarmNs;
    if (now < began) continue;
    if (cpu == 0) {
      cpu = cpu_ns();
      count = first;
      began = now;
    } else if (now - began >= window_ns) {
      ended = now;
      const double rate = static_cast<double>(first - count) * 1e9 / static_cast<double>(now - began);
      shared.deliveries += first - count;
      shared.cpu_ns += cpu_ns() - cpu;
      shared.rate += static_cast<uint64_t>(rate);
      shared.done++;
    }
  }
}

int flow(uint64_t bytes, uint32_t senders, uint32_t receivers, double seconds) {
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  Shared& shared = *new (memory) Shared();
  const std::string name = "bench.flow." + std::to_string(getpid());
  const ChannelType type = senders > 1 ? kChannel : kRoute;
  const uint64_t window_ns = static_cast<uint64_t>(seconds * 1e9);
  for (uint32_t i = 0; i < receivers; i++) {
    if (fork() == 0) {
      receiver(shared, name, type, bytes, window_ns);
      _exit(0);
    }
  }
  for (uint32_t i = 0; i < senders; i++) {
    if (fork() != 0) continue;
    Channel channel;
    open(channel, name, type, kSender);
    while (channel.count(kReceiver) < receivers) platform::sleep_ns(1000000);
    std::vector<uint8_t> payload(bytes + 1, 1);
    const uint64_t began = platform::now_ns(), cpu = cpu_ns();
    uint64_t sent = 0;
    for (; !shared.stop.load(std::memory_order_relaxed); sent++) send(channel, payload.data(), bytes, true);
    // Its processor time for the whole run, brought to the time that the receivers measured.
    const double share = seconds * 1e9 / static_cast<double>(platform::now_ns() - began);
    shared.cpu_ns += static_cast<uint64_t>(static_cast<double>(cpu_ns() - cpu) * share);
    _exit(0);
  }
  while (shared.done < receivers) platform::sleep_ns(1000000);
  shared.stop = true;
  while (wait(nullptr) > 0) {
  }
  const double delivered = static_cast<double>(shared.deliveries.load());
  printf("{\"rate\":%llu,\"cpuNs\":%.1f}\n", static_cast<unsigned long long>(shared.rate.load()),
         static_cast<double>(shared.cpu_ns.load()) / delivered);
  return 0;
}

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

int trip(uint64_t bytes, bool spin, double seconds, bool pinned) {
  const std::string name = "bench.trip." + std::to_string(getpid());
  std::vector<uint8_t> place(bytes + 16), payload(bytes + 1, 1);
  const pid_t child = fork();
  if (pinned) pin(child == 0 ? 1 : 0);
  Channel requests, replies;
  open(child == 0 ? requests : replies, child == 0 ? name : name + ".back", kRoute, kReceiver);
  open(child == 0 ? replies : requests, child == 0 ? name + ".back" : name, kRoute, kSender);
  if (child == 0) {
    for (;;) {
      receive(requests, place, bytes, spin, nullptr);
      send(replies, payload.data(), bytes, spin);
    }
  }
  while (requests.count(kReceiver) < 1) platform::sleep_ns(1000000);
  std::vector<double> times;
  const uint64_t until = platform::now_ns() + kWarmNs + static_cast<uint64_t>(seconds * 1e9);
  for (uint64_t start = platform::now_ns(); start < until; start = platform::now_ns()) {
    send(requests, payload.data(), bytes, spin);
    receive(replies, place, bytes, spin, nullptr);
    const uint64_t now = platform::now_ns();
    if (now > until - static_cast<uint64_t>(seconds * 1e9)) times.push_back(static_cast<double>(now - start) / 1000);
  }
  kill(child, SIGKILL);
  wait(nullptr);
  requests.count(kReceiver);
  replies.count(kSender);
  std::sort(times.begin(), times.end());
  printf("{\"p50\":%.2f,\"p99\":%.2f}\n", times[times.size() / 2], times[times.size() * 99 / 100]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 6 && !strcmp(argv[1], "flow")) {
    return flow(strtoull(argv[2], nullptr, 10), static_cast<uint32_t>(atoi(argv[3])), static_cast<uint32_t>(atoi(argv[4])), atof(argv[5]));
  }
  if (argc >= 5 && !strcmp(argv[1], "trip")) {
    return trip(strtoull(argv[2], nullptr, 10), !strcmp(argv[3], "spin"), atof(argv[4]), argc > 5);
  }
  return 2;
}
