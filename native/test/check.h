// What the tests of the ring share: a check that ends the program, messages whose content tells whether
// they are whole, and waiting.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../ring/channel.h"
#include "../ring/memory.h"

#define CHECK(condition, ...)                                            \
  do {                                                                   \
    if (!(condition)) {                                                  \
      fprintf(stderr, "%s:%d: %s — ", __FILE__, __LINE__, #condition);   \
      fprintf(stderr, __VA_ARGS__);                                      \
      fprintf(stderr, "\n");                                             \
      fflush(stderr);                                                    \
      abort();                                                           \
    }                                                                    \
  } while (0)

namespace isthmus::test {

inline uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 33;
  return x;
}

constexpr uint64_t kHeadBytes = 16;

/** A message that carries who sent it and its number, and is filled from both. */
inline void fill(std::vector<uint8_t>& bytes, uint64_t size, uint64_t sender, uint64_t number) {
  bytes.resize(size);
  uint64_t head[2] = {sender, number};
  uint64_t state = mix(sender * 1000003 + number);
  for (uint64_t i = 0; i < size; i += 8) {
    uint64_t word = i < kHeadBytes ? head[i / 8] : (state += 0x9e3779b97f4a7c15ull);
    std::memcpy(bytes.data() + i, &word, size - i < 8 ? size - i : 8);
  }
}

inline void read_head(const uint8_t* bytes, uint64_t& sender, uint64_t& number) {
  std::memcpy(&sender, bytes, 8);
  std::memcpy(&number, bytes + 8, 8);
}

inline bool intact(const uint8_t* bytes, uint64_t size) {
  uint64_t sender, number;
  read_head(bytes, sender, number);
  uint64_t state = mix(sender * 1000003 + number);
  for (uint64_t i = kHeadBytes; i < size; i += 8) {
    uint64_t word = (state += 0x9e3779b97f4a7c15ull);
    if (std::memcmp(bytes + i, &word, size - i < 8 ? size - i : 8) != 0) return false;
  }
  return true;
}

/** Sends, waiting for room as long as it takes or until the deadline. */
inline Status send_wait(Channel& channel, const uint8_t* data, uint64_t bytes, uint64_t timeout_ns) {
  Outgoing out;
  out.data = data;
  out.bytes = bytes;
  const uint64_t deadline = platform::now_ns() + timeout_ns;
  for (;;) {
    Status status = channel.send(out, 10 * 1000000, false);
    if (status != kFull && status != kBusy) return status;
    if (platform::now_ns() > deadline) return status;
    if (status == kFull && !channel.spin(Wait::space, 20000)) channel.wait(Wait::space, 10 * 1000000);
  }
}

/**
 * Receives into `bytes`, waiting until the deadline. `room`: by receive_into, with a place of so many bytes in which
 * nothing of ours may be left between two calls.
 */
inline Status receive_wait(Channel& channel, std::vector<uint8_t>& bytes, Message& message, uint64_t timeout_ns, uint64_t room = 0) {
  const uint64_t deadline = platform::now_ns() + timeout_ns;
  if (bytes.size() < 256) bytes.resize(256);
  for (;;) {
    if (room > 0) bytes.assign(room, 0xee);
    Status status = room > 0 ? channel.receive_into(bytes.data(), bytes.size(), message)
                             : channel.receive(bytes.data(), bytes.size(), message);
    if (status == kNeedsSpace) {
      bytes.resize(message.bytes);
      continue;
    }
    if (status == kLarge) {
      uint64_t size;
      uint8_t* data = channel.take_large(size);
      bytes.assign(data, data + size);
      give_memory(data, size);
      return kOk;
    }
    if (status != kEmpty) return status;
    if (platform::now_ns() > deadline) return kEmpty;
    if (!channel.spin(Wait::data, 20000)) channel.wait(Wait::data, 50 * 1000000);
  }
}

inline std::string unique_name(const char* what) {
  char name[64];
  snprintf(name, sizeof name, "test.%s.%016llx", what, static_cast<unsigned long long>(platform::random_64()));
  return name;
}

inline bool is_left(const std::string& name) {
  for (const std::string& file : platform::list_folder(platform::region_folder(), "isthmus-")) {
    if (file.find(name) != std::string::npos) return true;
  }
  return false;
}

/** Somebody else who tidies up at the same moment may be the one who removes the file, a moment later. */
inline bool nothing_left(const std::string& name) {
  for (int turn = 0; turn < 2000 && is_left(name); turn++) platform::sleep_ns(1000000);
  return !is_left(name);
}

}  // namespace isthmus::test
