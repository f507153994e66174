// What the tests of the edges share: a region of one's own, handles that must open, and the region as one sees it
// who keeps to no rule.
#pragma once

#include <string>
#include <vector>

#include "check.h"

namespace isthmus::test {

constexpr uint64_t kSecond = 1000000000ull;

inline RegionOptions region(const char* what, ChannelType type, uint64_t capacity) {
  RegionOptions options;
  options.name = unique_name(what);
  options.type = type;
  options.capacity = capacity;
  return options;
}

inline void open_ok(Channel& channel, const RegionOptions& options, uint32_t role) {
  HandleOptions handle;
  handle.role = role;
  Status status = channel.open(options, handle);
  CHECK(status == kOk, "open gave %d", status);
}

inline Status send_once(Channel& channel, const std::vector<uint8_t>& bytes, bool whole = true) {
  Outgoing out;
  out.data = bytes.data();
  out.bytes = bytes.size();
  return channel.send(out, kSecond, whole);
}

/** The region as a member without scruples sees it. */
struct Raw {
  explicit Raw(const RegionOptions& options) {
    fd = platform::open_existing(region_path(options.name, false));
    platform::FileFacts facts;
    CHECK(fd >= 0 && platform::facts_of(fd, facts) == 0 && platform::map(fd, facts.bytes, mapping) == 0, "map");
    region = reinterpret_cast<Region*>(mapping.base);
    ring = mapping.base + kDataOffset;
  }
  ~Raw() {
    platform::unmap(mapping);
    platform::close_file(fd);
  }
  /** As if so much had been sent already. */
  void begin_at(uint64_t position, uint64_t sequence) {
    Heads& heads = region->heads;
    for (Commit& commit : heads.commit) {
      commit.position = position;
      commit.next_sequence = sequence;
      commit.last_start = position;
    }
    heads.tail = position;
    heads.head = position;
  }
  void put(uint64_t at, uint64_t bytes, uint32_t tag, uint64_t sequence) {
    const uint64_t words[] = {bytes | static_cast<uint64_t>(tag) << 32, sequence};
    std::memcpy(ring + at, words, sizeof words);
  }
  int fd;
  platform::Mapping mapping;
  Region* region;
  uint8_t* ring;
};

}  // namespace isthmus::test
