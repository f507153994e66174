// The scenes in which a process is killed or stopped between two instructions, and what it does in each.
#pragma once

#include <csignal>
#include <initializer_list>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

extern char** environ;

namespace isthmus::test {

constexpr uint64_t kSecond = 1000000000ull;
constexpr uint64_t kPrey = 1, kWitness = 2;

struct Scene {
  const char* name;
  ChannelType type;
  Policy policy;
  uint32_t history;
  bool latest;
  /** Messages of 200 bytes that the witness sends, and nobody reads, before it begins. */
  int unread;
};

inline RegionOptions region(const Scene& scene, const std::string& name) {
  RegionOptions options;
  options.name = name;
  options.type = scene.type;
  options.policy = scene.policy;
  options.history = scene.history;
  options.latest = scene.latest;
  options.evict_ms = 1;
  options.capacity = kMinCapacity;
  return options;
}

inline const Scene kScenes[] = {
    {"send", kChannel, kBlock, 3, false, 0},       {"send-pad", kChannel, kBlock, 3, false, 0},
    {"send-full", kChannel, kBlock, 0, false, 40}, {"send-chunks", kChannel, kBlock, 2, false, 0},
    {"send-drop", kChannel, kDropOldest, 4, false, 40}, {"send-drop-chunks", kChannel, kDropOldest, 4, false, 40},
    {"send-evict", kChannel, kEvictAfter, 0, false, 40}, {"send-latest", kChannel, kDropOldest, 1, true, 5},
    {"batch", kChannel, kBlock, 1, false, 0},      {"batch-drop", kChannel, kDropOldest, 2, false, 10},
    {"loan", kRoute, kBlock, 0, false, 0},         {"receive", kChannel, kBlock, 0, false, 0},
    {"receive-full", kChannel, kBlock, 0, false, 0}, {"receive-into", kChannel, kBlock, 0, false, 0},
    {"view", kChannel, kBlock, 0, false, 0},       {"open", kChannel, kBlock, 3, false, 3},
    {"close", kChannel, kBlock, 0, false, 3},      {"last", kChannel, kBlock, 0, false, 0},
    {"rejoin", kChannel, kEvictAfter, 0, false, 3}, {"evict-dead", kChannel, kBlock, 0, false, 0},
    {"heir", kChannel, kBlock, 0, false, 0},       {"sleep", kChannel, kBlock, 0, false, 0},
    {"steal", kChannel, kBlock, 0, false, 0},
};

inline bool is(const Scene& scene, const char* name) { return !strcmp(scene.name, name); }
inline bool begins(const Scene& scene, const char* with) { return !strncmp(scene.name, with, strlen(with)); }

// --- the prey ------------------------------------------------------------------------------------

inline void open_ok(Channel& channel, const RegionOptions& options, uint32_t role) {
  HandleOptions handle;
  handle.role = role;
  const Status status = channel.open(options, handle);
  CHECK(status == kOk, "open gave %d", status);
}

inline Status send_sized(Channel& channel, uint64_t bytes, uint64_t number, uint64_t lock_ns = kSecond, bool whole = false) {
  std::vector<uint8_t> data;
  fill(data, bytes, kPrey, number);
  Outgoing out;
  out.data = data.data();
  out.bytes = bytes;
  return channel.send(out, lock_ns, whole);
}

/** Before this returns the hunter lets it run; from then on it goes step by step. */
inline void ready() {
  ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  raise(SIGSTOP);
}
inline void done() { raise(SIGSTOP); }

inline void expect(Status status, std::initializer_list<Status> allowed, const char* what) {
  for (Status one : allowed) {
    if (status == one) return;
  }
  CHECK(false, "%s gave %d", what, status);
}

inline void prey_sends(const Scene& scene, Channel& channel) {
  open_ok(channel, region(scene, getenv("ISTHMUS_REGION")), kSender);
  if (is(scene, "batch") || is(scene, "batch-drop")) {
    std::vector<uint8_t> slab(3000), data;
    uint64_t used = 0;
    for (uint64_t i = 0; i < 6; i++) {
      fill(data, 40 + i * 100, kPrey, i);
      const uint32_t length = static_cast<uint32_t>(data.size());
      std::memcpy(slab.data() + used, &length, 4);
      std::memcpy(slab.data() + used + sizeof(RecordHeader), data.data(), data.size());
      used += record_bytes(data.size());
    }
    uint32_t sent;
    uint64_t consumed;
    ready();
    expect(channel.send_batch(slab.data(), used, kSecond, sent, consumed), {kOk, kFull}, "batch");
    done();
    return;
  }
  if (is(scene, "loan")) {
    uint8_t* place;
    std::vector<uint8_t> data;
    fill(data, 500, kPrey, 0);
    ready();
    expect(channel.loan(600, place), {kOk}, "loan");
    std::memcpy(place, data.data(), data.size());
    expect(channel.commit_loan(500), {kOk}, "commit");
    done();
    return;
  }
  const bool large = begins(scene, "send-chunks") || is(scene, "send-drop-chunks");
  const uint64_t bytes = large ? 1500 : is(scene, "send-pad") ? 900 : 200;
  ready();
  const Status status = send_sized(channel, bytes, 0);
  done();
  expect(status, {kOk, kFull}, "send");
}

/** Everybody who may be killed in the middle of something that he shares with others. */
inline void prey_receives(const Scene& scene, Channel& channel) {
  const RegionOptions options = region(scene, getenv("ISTHMUS_REGION"));
  open_ok(channel, options, kReceiver);
  Channel sender;
  open_ok(sender, options, kSender);
  const bool large = is(scene, "receive-into");
  const uint64_t count = large ? 1 : is(scene, "receive-full") ? 14 : 3;
  for (uint64_t i = 0; i < count; i++) expect(send_sized(sender, large ? 2500 : 200, i), {kOk}, "send");
  sender.close();
  std::vector<uint8_t> room(4000);
  Message message;
  ready();
  if (is(scene, "view")) {
    const uint8_t* place;
    uint64_t tickets[3];
    for (uint64_t& ticket : tickets) expect(channel.receive_view(place, message, ticket), {kOk}, "view");
    for (uint64_t ticket : tickets) channel.release_view(ticket);
  } else if (large) {
    expect(channel.receive_into(room.data(), room.size(), message), {kOk}, "receive");
  } else if (is(scene, "sleep")) {
    for (uint64_t i = 0; i < count; i++) channel.receive(room.data(), room.size(), message);
    channel.wait(Wait::data, 100000);
    channel.arm(Wait::data);
    channel.arm(Wait::space);
    channel.disarm(Wait::data);
  } else {
    for (uint64_t i = 0; i < count; i++) expect(channel.receive(room.data(), room.size(), message), {kOk}, "receive");
    channel.receive(room.data(), room.size(), message);
  }
  done();
}

/** Three handles that die in this very process's child, one of them with the lock if that is wanted. */
inline void leave_dead(const RegionOptions& options, bool with_lock) {
  const char* args[] = {"/proc/self/exe", "corpse", options.name.c_str(), with_lock ? "lock" : "", nullptr};
  pid_t pid = 0;
  CHECK(posix_spawn(&pid, args[0], nullptr, nullptr, const_cast<char* const*>(args), environ) == 0, "spawn");
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "the dead");
}

inline void prey_comes_and_goes(const Scene& scene, Channel& channel) {
  const RegionOptions options = region(scene, getenv("ISTHMUS_REGION"));
  std::vector<uint8_t> room(4000);
  Message message;
  if (is(scene, "open") || is(scene, "last")) {
    ready();
    open_ok(channel, options, kSender | kReceiver);
    if (is(scene, "last")) channel.close();
    done();
    return;
  }
  if (is(scene, "heir")) {
    leave_dead(options, false);
    ready();
    open_ok(channel, options, kReceiver);
    done();
    return;
  }
  open_ok(channel, options, kSender | kReceiver);
  if (is(scene, "close")) {
    platform::close_file(channel.bell_fd());
    ready();
    channel.close();
    done();
  } else if (is(scene, "rejoin")) {
    ready();
    expect(channel.rejoin(), {kOk}, "rejoin");
    done();
  } else {
    leave_dead(options, is(scene, "steal"));
    ready();
    if (is(scene, "steal")) expect(send_sized(channel, 100, 0), {kOk, kFull}, "send");
    else channel.evict_dead();
    done();
  }
}

inline int prey(const Scene& scene) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Channel channel;
  if (begins(scene, "send") || begins(scene, "batch") || begins(scene, "loan")) prey_sends(scene, channel);
  else if (begins(scene, "receive") || is(scene, "view") || is(scene, "sleep")) prey_receives(scene, channel);
  else prey_comes_and_goes(scene, channel);
  return 0;
}

inline int corpse(const char* name, bool with_lock) {
  Scene scene = kScenes[0];
  scene.history = 0;
  RegionOptions options = region(scene, name);
  options.any_policy = true;
  Channel channels[3];
  for (Channel& channel : channels) {
    open_ok(channel, options, kSender | kReceiver);
    platform::close_file(channel.bell_fd());
  }
  if (with_lock) {
    // As if killed with the lock: the word says so, and nobody holds the byte.
    const int fd = platform::open_existing(region_path(name, false));
    platform::FileFacts facts;
    platform::Mapping mapping;
    CHECK(platform::facts_of(fd, facts) == 0 && platform::map(fd, facts.bytes, mapping) == 0, "map");
    Region* r = reinterpret_cast<Region*>(mapping.base);
    const uint32_t slot = channels[2].slot();
    r->lock.word.value = (slot + 1) | (r->peers[slot].generation.load() & 0x7ffff) << 12;
  }
  raise(SIGKILL);
  return 1;
}

}  // namespace isthmus::test
