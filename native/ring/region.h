// Creating, opening, leaving and tidying up regions. Nobody ever sees half of one; the last who leaves
// removes it, and whoever comes later removes what killed processes left.
#pragma once

#include <string>
#include <vector>

#include "../platform/platform.h"
#include "layout.h"
#include "status.h"

namespace isthmus {

struct RegionOptions {
  std::string name;  // already in the form that a file name can have
  ChannelType type = kChannel;
  Policy policy = kBlock;
  uint64_t capacity = 1 << 20;
  uint32_t evict_ms = 0;
  uint32_t history = 0;
  bool latest = false;
  bool group = false;
  bool any_policy = false;  // take policy, history and latest as the region has them
  bool must_exist = false;  // -ENOENT instead of creating
  bool any_type = false;
};

class RegionFile {
 public:
  Status open(const RegionOptions& options);
  /** Gives up the presence and removes the file when nobody else is present. */
  void close();

  Region* region() const { return region_; }
  uint8_t* data() const { return data_; }
  int fd() const { return fd_; }
  const Constants& constants() const { return constants_; }
  const std::string& path() const { return path_; }
  std::string bell_path(uint32_t slot) const;
  bool is_open() const { return region_ != nullptr; }
  /** Forgets the mapping without unmapping it, because views into it are still about. */
  void leak_mapping() { leak_ = true; }

 private:
  Status create(const RegionOptions& options, int& fd);
  Status adopt(int fd, const RegionOptions& options);
  Status adopt_or_close(int fd, const RegionOptions& options);
  Status check(const RegionOptions& options, uint64_t file_bytes);

  platform::Mapping mapping_;
  Region* region_ = nullptr;
  uint8_t* data_ = nullptr;
  int fd_ = -1;
  Constants constants_ = {};
  std::string path_;
  bool leak_ = false;
};

/** For people; nothing is decided by it. */
uint64_t wall_ms();
std::string region_path(const std::string& name, bool group);
/** Removes regions and bells that nobody is present in; gives how many files. */
int sweep();
/** Removes the region of this name, used or not: who is in it goes on alone. */
Status clear_region(const std::string& name, bool group);

struct RegionEntry {
  std::string name;
  bool group;
};
std::vector<RegionEntry> list_regions();

}  // namespace isthmus
