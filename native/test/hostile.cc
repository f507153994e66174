// A hostile member: another process writes garbage into the region while this one sends, receives, joins and
// leaves. Nothing may be read or written outside of the region (guard pages lie around every mapping, and
// AddressSanitizer watches the heap), nothing may hang, and every call ends with a status that has a name.
//
//   hostile N [SEED]    N regions
#include <array>
#include <csignal>
#include <map>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

extern char** environ;

using namespace isthmus;
using namespace isthmus::test;

// The suite compiles the platform layer with these in place of mmap and munmap.
constexpr size_t kGuardBytes = 1 << 20;

extern "C" void* guarded_mmap(void*, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  long whole = syscall(SYS_mmap, nullptr, bytes + 2 * kGuardBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (whole == -1) return MAP_FAILED;
  long inside = syscall(SYS_mmap, whole + static_cast<long>(kGuardBytes), bytes, protection, flags | MAP_FIXED, fd, offset);
  return inside == -1 ? MAP_FAILED : reinterpret_cast<void*>(inside);
}

extern "C" int guarded_munmap(void* base, size_t bytes) noexcept {
  return static_cast<int>(syscall(SYS_munmap, static_cast<uint8_t*>(base) - kGuardBytes, bytes + 2 * kGuardBytes));
}

namespace {

constexpr uint64_t kCallNs = 1000000;

struct Random {
  uint64_t state;
  uint64_t below(uint64_t limit) {
    state += 0x9e3779b97f4a7c15ull;
    return mix(state) % limit;
  }
};

/** Values that come close to what is checked. */
uint64_t nasty(Random& random, uint64_t near) {
  const uint64_t choices[] = {0, 1, ~0ull, ~0ull - 7, 1ull << 63, 0xffffffffull, near + 1, near - 1, near + 8, near - 8,
                              near + 16, near - 16, near + 4096, near - 4096, near + 4088, near ^ 8, near + (1ull << 40)};
  return choices[random.below(sizeof choices / sizeof choices[0])];
}

void write_garbage(Region* region, uint64_t capacity, Random& random) {
  uint8_t* base = reinterpret_cast<uint8_t*>(region);
  uint8_t* ring = base + kDataOffset;
  const uint64_t head = region->heads.head;
  switch (random.below(12)) {
    case 0: region->heads.head = nasty(random, head); break;
    case 1: region->heads.tail = nasty(random, head); break;
    case 2: {
      // Consistent with each other, and wrong.
      const uint64_t wrong = nasty(random, head);
      region->heads.commit[random.below(2)].position = wrong;
      region->heads.head = wrong;
      break;
    }
    case 3: region->heads.commit[random.below(2)].next_sequence = nasty(random, head); break;
    case 4: region->heads.commit[random.below(2)].last_start = nasty(random, head); break;
    case 5: region->peers[random.below(6)].cursor = nasty(random, head); break;
    case 6: region->peers[random.below(6)].state = static_cast<uint32_t>(random.below(4)); break;
    case 7: region->registry.slots_used = static_cast<uint32_t>(nasty(random, 8)); break;
    case 8: region->lock.word.value = static_cast<uint32_t>(nasty(random, random.below(8))); break;
    case 9: {
      // A header or a chunk's header, at a place where there may be one.
      const uint64_t at = random.below(capacity / 16) * 16;
      const uint64_t words[] = {nasty(random, 0) << 32 | random.below(2 * capacity), make_tag(kChunk, 1, 1), nasty(random, head), nasty(random, 200)};
      std::memcpy(ring + at, words, sizeof words <= capacity - at ? sizeof words : 16);
      break;
    }
    case 10: ring[random.below(capacity)] = static_cast<uint8_t>(random.below(256)); break;
    // Anything at all, the constants and the peers among it.
    default: base[random.below(2048)] ^= static_cast<uint8_t>(1u << random.below(8)); break;
  }
}

/** The hostile process: garbage until it is killed, and now and then a lock that is free. */
int vandal(const char* path, uint64_t seed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Random random{seed};
  platform::FileFacts facts;
  platform::Mapping mapping;
  const int fd = platform::open_existing(path);
  CHECK(fd >= 0 && platform::facts_of(fd, facts) == 0 && platform::map(fd, facts.bytes, mapping) == 0, "the vandal maps");
  Region* region = reinterpret_cast<Region*>(mapping.base);
  std::vector<uint8_t> before(sizeof(Constants) + sizeof(Heads));
  for (;;) {
    std::memcpy(before.data(), mapping.base, before.size());
    for (uint64_t i = random.below(6); i > 0; i--) write_garbage(region, facts.bytes - kDataOffset, random);
    platform::sleep_ns(random.below(300000));
    region->lock.word.value = 0;
    // What decides is put back (and so moved back in time), that the others do not stop at the first thing wrong.
    std::memcpy(mapping.base, before.data(), before.size());
    platform::sleep_ns(random.below(100000));
  }
}

pid_t start_vandal(const std::string& path, uint64_t seed) {
  const std::string number = std::to_string(seed);
  const char* args[] = {"/proc/self/exe", "vandal", path.c_str(), number.c_str(), nullptr};
  pid_t pid = 0;
  const int rc = posix_spawn(&pid, args[0], nullptr, nullptr, const_cast<char* const*>(args), environ);
  CHECK(rc == 0, "spawn: %d", rc);
  return pid;
}

/** How often each call ended with each status. */
std::map<std::string, std::array<uint64_t, kUnsupported + 1>> endings;

void named(Status status, const char* call) {
  CHECK(status >= kOk && status <= kUnsupported, "%s gave %d", call, status);
  endings[call][static_cast<size_t>(status)]++;
}

void read_all(const uint8_t* place, uint64_t bytes) {
  volatile uint8_t sink = 0;
  for (uint64_t i = 0; i < bytes; i += 61) sink = sink ^ place[i];
  if (bytes > 0) sink = sink ^ place[bytes - 1];
}

struct Member {
  Channel channel;
  Outgoing out;
  std::vector<uint8_t> bytes, slab;
  std::vector<uint64_t> tickets;
  bool open = false;
};

void do_something(Member& member, const RegionOptions& options, Random& random) {
  Channel& channel = member.channel;
  if (!member.open) {
    HandleOptions handle;
    handle.role = static_cast<uint32_t>(1 + random.below(3));
    handle.echo = random.below(2) == 1;
    const Status status = channel.open(options, handle);
    named(status, "open");
    member.open = status == kOk;
    if (!member.open || random.below(2) == 0) return;
    const int bell = channel.bell_fd();
    CHECK(bell >= 0, "bell gave %d", bell);
    platform::close_file(bell);
    return;
  }
  Message message;
  // Exactly as large as it says, so that the sanitizer sees every byte beyond.
  switch (random.below(14)) {
    case 0:
    case 1: {
      member.bytes.assign(random.below(random.below(4) == 0 ? 3 * options.capacity : 1500), 7);
      member.out = Outgoing();
      member.out.data = member.bytes.data();
      member.out.bytes = member.bytes.size();
      named(channel.send(member.out, kCallNs, random.below(2) == 1), "send");
      break;
    }
    case 2: {
      uint32_t sent;
      uint64_t consumed;
      member.slab.assign(16 * random.below(100), static_cast<uint8_t>(random.below(256)));
      for (uint64_t at = 0; at + 16 <= member.slab.size(); at += 64) member.slab[at] = member.slab[at + 1] = member.slab[at + 2] = member.slab[at + 3] = 0;
      named(channel.send_batch(member.slab.data(), member.slab.size(), kCallNs, sent, consumed), "send_batch");
      CHECK(consumed <= member.slab.size(), "consumed");
      break;
    }
    case 3: {
      uint8_t* place;
      const uint64_t bytes = 1 + random.below(900);
      const Status status = channel.loan(bytes, place);
      named(status, "loan");
      if (status != kOk) break;
      std::memset(place, 5, bytes);
      named(channel.commit_loan(random.below(bytes + 1)), "commit");
      break;
    }
    case 4: {
      const uint8_t* place;
      uint64_t ticket;
      const Status status = channel.receive_view(place, message, ticket);
      named(status, "view");
      if (status == kLarge) break;
      if (status != kOk) break;
      read_all(place, message.bytes);
      member.tickets.push_back(ticket);
      break;
    }
    case 5:
      while (!member.tickets.empty()) {
        channel.release_view(member.tickets.back());
        member.tickets.pop_back();
      }
      break;
    case 6: channel.count(kReceiver); break;
    case 7:
      for (const PeerInfo& peer : channel.peers()) CHECK(peer.slot < kMaxPeers && peer.name.size() <= kPeerNameBytes, "peer");
      break;
    case 8: channel.wait(Wait::data, 10000); break;
    case 9: channel.arm(static_cast<Wait>(random.below(3))); break;
    case 10: channel.spin(Wait::space, 1000); break;
    case 11:
      // A message in the ring that is being read cannot be given up by its reader.
      if (member.tickets.empty()) {
        channel.close();
        member.open = false;
      }
      break;
    default: {
      if (random.below(2) == 0) channel.gather();
      std::vector<uint8_t> room(random.below(random.below(4) == 0 ? 200000 : 2000));
      const Status status = random.below(2) == 0 ? channel.receive(room.data(), room.size(), message, random.below(3000))
                                                 : channel.receive_into(room.data(), room.size(), message);
      named(status, "receive");
      if (status == kOk) CHECK(message.bytes <= room.size(), "bytes");
      if (status == kEvictedSelf) named(channel.rejoin(), "rejoin");
      break;
    }
  }
  uint64_t bytes = 0;
  uint8_t* data = channel.take_large(bytes);
  if (data) read_all(data, bytes);
  give_memory(data, bytes);
}

void attack(uint64_t round, uint64_t seed) {
  Random random{mix(seed + round)};
  RegionOptions options;
  options.name = unique_name("hostile");
  options.type = random.below(2) == 0 ? kRoute : kChannel;
  options.policy = static_cast<Policy>(random.below(3));
  options.evict_ms = 1;
  options.latest = options.policy == kDropOldest && random.below(3) == 0;
  options.history = static_cast<uint32_t>(random.below(4));
  options.capacity = 1 << 12;
  {
    Channel holder;
    HandleOptions nobody;
    nobody.role = 0;
    CHECK(holder.open(options, nobody) == kOk, "open");
    std::vector<Member> members(4);
    for (int i = 0; i < 40; i++) do_something(members[random.below(4)], options, random);
    const pid_t pid = start_vandal(region_path(options.name, false), random.below(1ull << 60));
    const uint64_t end = platform::now_ns() + 40000000;
    while (platform::now_ns() < end) do_something(members[random.below(4)], options, random);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    for (Member& member : members) {
      for (uint64_t ticket : member.tickets) member.channel.release_view(ticket);
    }
  }
  CHECK(nothing_left(options.name), "files left");
}

/** Files that somebody put there, held so that they are not taken for leftovers. */
void strange_files(uint64_t seed) {
  Random random{mix(seed)};
  const uint64_t sizes[] = {0, 1, 128, sizeof(Region) - 1, sizeof(Region), kDataOffset, kDataOffset + 4096, kDataOffset + 4097};
  for (uint64_t bytes : sizes) {
    for (int content = 0; content < 3; content++) {
      RegionOptions options;
      options.name = unique_name("strange");
      const std::string path = region_path(options.name, false);
      const int fd = platform::create_unnamed(platform::region_folder(), bytes == 0 ? 1 : bytes, 0600);
      CHECK(fd >= 0 && platform::publish(fd, path) == 0, "create");
      CHECK(ftruncate(fd, static_cast<off_t>(bytes)) == 0, "truncate");
      CHECK(platform::lock_byte(fd, kPresenceByte, platform::LockKind::shared) == 0, "lock");
      std::vector<uint8_t> junk(bytes);
      for (uint8_t& byte : junk) byte = content == 0 ? 0 : static_cast<uint8_t>(random.below(256));
      Constants constants = {};
      constants.magic = kMagic;
      constants.version = kLayoutVersion;
      constants.file_bytes = bytes;
      constants.capacity = nasty(random, 4096);
      constants.data_offset = kDataOffset;
      constants.max_peers = kMaxPeers;
      if (content == 2 && bytes >= sizeof constants) std::memcpy(junk.data(), &constants, sizeof constants);
      CHECK(pwrite(fd, junk.data(), junk.size(), 0) == static_cast<ssize_t>(bytes), "write");
      Channel channel;
      HandleOptions handle;
      const Status status = channel.open(options, handle);
      CHECK(status == kMismatch || status == kCorrupt, "a file of %llu bytes gave %d", (unsigned long long)bytes, status);
      platform::remove_file(path);
      platform::close_file(fd);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 4 && !strcmp(argv[1], "vandal")) return vandal(argv[2], strtoull(argv[3], nullptr, 10));
  CHECK(argc >= 2, "usage: hostile N [SEED]");
  const uint64_t seed = argc > 2 ? strtoull(argv[2], nullptr, 10) : platform::random_64() >> 1;
  printf("seed %llu\n", static_cast<unsigned long long>(seed));
  fflush(stdout);
  strange_files(seed);
  const uint64_t rounds = strtoull(argv[1], nullptr, 10);
  for (uint64_t round = 0; round < rounds; round++) attack(round, seed);
  for (const auto& [call, counts] : endings) {
    printf("%-12s", call.c_str());
    for (size_t status = 0; status < counts.size(); status++) {
      if (counts[status] > 0) printf(" %zu: %llu", status, static_cast<unsigned long long>(counts[status]));
    }
    printf("\n");
  }
  printf("hostile ok: %llu regions\n", static_cast<unsigned long long>(rounds));
  return 0;
}
