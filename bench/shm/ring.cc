// The ring from C++ to C++: what is there before Node comes in. One sender, some receivers, each a process.
//
//   ring <bytes> <receivers> <seconds>     messages a second, summed over the receivers
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

#include "../../native/ring/channel.h"

using namespace isthmus;

namespace {

RegionOptions region(const char* name) {
  RegionOptions options;
  options.name = name;
  options.type = kRoute;
  options.capacity = 4 << 20;
  return options;
}

int receive(const char* name, uint64_t bytes, int out) {
  Channel channel;
  HandleOptions handle;
  handle.role = kReceiver;
  if (channel.open(region(name), handle) != kOk) return 1;
  uint8_t* place = static_cast<uint8_t*>(malloc(bytes + 16));
  uint64_t count = 0, first = 0, last = 0;
  for (;;) {
    Message message;
    Status status = channel.receive(place, bytes + 16, message);
    if (status == kLarge) {
      uint64_t size;
      free(channel.take_large(size));
    }
    if (status == kOk || status == kLarge) {
      if (count == 0) first = platform::now_ns();
      if (message.bytes != bytes) break;
      count++;
    } else if (status == kEmpty) {
      if (!channel.spin(Wait::data, 50000)) channel.wait(Wait::data, 50 * 1000000);
    } else {
      return 1;
    }
  }
  last = platform::now_ns();
  double rate = static_cast<double>(count) * 1e9 / static_cast<double>(last - first);
  return write(out, &rate, sizeof rate) == sizeof rate ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const uint64_t bytes = strtoull(argv[1], nullptr, 10);
  const int receivers = atoi(argv[2]);
  const double seconds = atof(argv[3]);
  char name[64];
  snprintf(name, sizeof name, "bench.%d", getpid());
  int pipes[2];
  if (pipe(pipes) != 0) return 1;
  for (int i = 0; i < receivers; i++) {
    if (fork() == 0) _exit(receive(name, bytes, pipes[1]));
  }
  Channel channel;
  HandleOptions handle;
  handle.role = kSender;
  if (channel.open(region(name), handle) != kOk) return 1;
  while (channel.count(kReceiver) < static_cast<uint32_t>(receivers)) platform::sleep_ns(1000000);
  uint8_t* payload = static_cast<uint8_t*>(calloc(1, bytes + 1));
  const uint64_t until = platform::now_ns() + static_cast<uint64_t>(seconds * 1e9);
  uint64_t sent = 0;
  auto send = [&](uint64_t size) {
    Outgoing out;
    out.data = payload;
    out.bytes = size;
    for (;;) {
      Status status = channel.send(out, 1000000000, false);
      if (status == kOk) return;
      if (!channel.spin(Wait::space, 50000)) channel.wait(Wait::space, 10 * 1000000);
    }
  };
  while ((++sent & 255) != 0 || platform::now_ns() < until) send(bytes);
  send(bytes + 1);
  double sum = 0;
  for (int i = 0; i < receivers; i++) {
    double rate = 0;
    if (read(pipes[0], &rate, sizeof rate) != sizeof rate) return 1;
    sum += rate;
  }
  while (wait(nullptr) > 0) {
  }
  printf("%.0f\n", sum);
  return 0;
}
