#include "region.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>

#include "fault.h"

namespace isthmus {
namespace {

using platform::LockKind;

std::string private_prefix() { return "isthmus-u" + std::to_string(platform::user_id()) + "-"; }
std::string group_prefix() { return "isthmus-g" + std::to_string(platform::group_id()) + "-"; }

/** For half a second; whoever removes a region needs microseconds, unless he is stopped. */
constexpr int kClearTurns = 1000;
constexpr uint64_t kClearNs = 500000;

bool power_of_two(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

bool acceptable(const platform::FileFacts& facts, bool group) {
  if (!facts.regular) return false;
  if (group) return facts.group == platform::group_id() && (facts.mode & 0007) == 0;
  return facts.owner == platform::user_id() && (facts.mode & 0077) == 0;
}

bool same_file(const platform::FileFacts& a, const platform::FileFacts& b) {
  return a.inode == b.inode && a.device == b.device;
}

void remove_bells(const std::string& region_file) {
  const std::string folder = platform::region_folder();
  for (const std::string& name : platform::list_folder(folder, region_file + "~")) {
    platform::remove_file(folder + "/" + name);
  }
}

/**
 * Removes the file if nobody is present: the presence byte can be had exclusively, and the path still
 * leads to this descriptor. The caller holds no lock of the byte; afterwards neither.
 */
bool remove_if_abandoned(int fd, const std::string& path) {
  if (platform::lock_byte(fd, kPresenceByte, LockKind::exclusive) != 0) return false;
  FAULT("leave.exclusive");
  platform::FileFacts opened, named;
  bool ours = platform::facts_of(fd, opened) == 0 && platform::facts_of_path(path, named) == 0 && same_file(opened, named);
  if (ours) {
    FAULT("leave.same");
    remove_bells(path.substr(path.rfind('/') + 1));
    ours = platform::remove_file(path) == 0;
    FAULT("leave.removed");
  }
  platform::unlock_byte(fd, kPresenceByte);
  return ours;
}

}  // namespace

uint64_t wall_ms() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

std::string region_path(const std::string& name, bool group) {
  return platform::region_folder() + "/" + (group ? group_prefix() : private_prefix()) + name;
}

std::string RegionFile::bell_path(uint32_t slot) const {
  char suffix[40];
  snprintf(suffix, sizeof suffix, "~%016llx.%u", static_cast<unsigned long long>(constants_.nonce), slot);
  return path_ + suffix;
}

Status RegionFile::create(const RegionOptions& options, int& fd) {
  const uint64_t bytes = kDataOffset + options.capacity;
  const uint32_t mode = options.group ? 0660 : 0600;
  fd = platform::create_unnamed(platform::region_folder(), bytes, mode);
  if (fd < 0) return fd;
  FAULT("create.allocated");
  Status status = platform::map(fd, bytes, mapping_);
  if (status == 0) {
    // Fresh pages are zero, which is the right beginning of everything but the constants.
    Region* region = new (mapping_.base) Region;
    Constants& c = region->constants;
    c.magic = kMagic;
    c.version = kLayoutVersion;
    c.type = options.type;
    c.file_bytes = bytes;
    c.capacity = options.capacity;
    c.data_offset = kDataOffset;
    c.max_peers = kMaxPeers;
    c.policy = options.policy;
    c.evict_ms = options.evict_ms;
    c.history = options.history;
    c.latest = options.latest ? 1 : 0;
    c.mode = mode;
    c.nonce = platform::random_64();
    c.created_ms = wall_ms();
    FAULT("create.initialised");
    // Present before it can be seen, so that nobody takes it for abandoned.
    status = platform::lock_byte(fd, kPresenceByte, LockKind::shared);
    FAULT("create.locked");
    if (status == 0) status = platform::publish(fd, path_);
  }
  if (status != 0) {
    platform::unmap(mapping_);
    platform::discard(fd);
    fd = -1;
    return status;
  }
  FAULT("create.published");
  return kOk;
}

Status RegionFile::check(const RegionOptions& options, uint64_t file_bytes) {
  // Copied first and judged then: a hostile peer could change it in between.
  std::memcpy(&constants_, &region_->constants, sizeof constants_);
  const Constants& c = constants_;
  if (c.magic != kMagic || c.version != kLayoutVersion) return kMismatch;
  if (c.max_peers != kMaxPeers || c.data_offset != kDataOffset) return kMismatch;
  if (!power_of_two(c.capacity) || c.capacity < kMinCapacity || c.capacity > kMaxCapacity) return kCorrupt;
  if (c.file_bytes != file_bytes || c.data_offset + c.capacity != file_bytes) return kCorrupt;
  if (c.type > kChannel || c.policy > kEvictAfter) return kCorrupt;
  if (!options.any_type && c.type != options.type) return kMismatch;
  if (!options.any_policy && (c.policy != options.policy || (c.latest != 0) != options.latest)) return kMismatch;
  return kOk;
}

Status RegionFile::adopt(int fd, const RegionOptions& options) {
  platform::FileFacts facts;
  Status status = platform::facts_of(fd, facts);
  if (status != 0) return status;
  if (facts.bytes < sizeof(Region)) return kMismatch;
  if (!mapping_.base) status = platform::map(fd, facts.bytes, mapping_);
  if (status != 0) return status;
  FAULT("open.mapped");
  region_ = reinterpret_cast<Region*>(mapping_.base);
  status = check(options, facts.bytes);
  if (status != kOk) {
    region_ = nullptr;
    return status;
  }
  data_ = mapping_.base + constants_.data_offset;
  fd_ = fd;
  platform::name_mapping(mapping_, constants_.nonce);
  return kOk;
}

Status RegionFile::open(const RegionOptions& options) {
  if (options.group && !platform::kGroupAccess) return kUnsupported;
  path_ = region_path(options.name, options.group);
  // Each turn lost is somebody else's progress; the bound is only against a folder gone mad.
  for (int attempt = 0; attempt < 10000; attempt++) {
    int fd = platform::open_existing(path_);
    if (fd == -ENOENT) {
      if (options.must_exist) return -ENOENT;
      if (attempt == 0) sweep();
      Status status = create(options, fd);
      if (status == -EEXIST) continue;
      return status == kOk ? adopt_or_close(fd, options) : status;
    }
    // A link, a folder, a socket: whatever it is, it is no region.
    if (fd == -ELOOP || fd == -EISDIR || fd == -ENXIO) return kForeign;
    if (fd < 0) return fd;
    FAULT("open.opened");
    platform::FileFacts opened, named;
    Status status = platform::facts_of(fd, opened);
    if (status == 0 && !acceptable(opened, options.group)) status = kForeign;
    if (status != 0) {
      platform::close_file(fd);
      return status;
    }
    // Nobody present: what killed processes left is no channel any more.
    bool removed = remove_if_abandoned(fd, path_);
    if (removed || platform::lock_byte(fd, kPresenceByte, LockKind::shared) != 0) {
      platform::close_file(fd);
      if (!removed) platform::sleep_ns(50000);
      continue;
    }
    FAULT("open.present");
    if (platform::facts_of_path(path_, named) != 0 || !same_file(opened, named)) {
      platform::close_file(fd);
      continue;
    }
    return adopt_or_close(fd, options);
  }
  return kBusy;
}

Status RegionFile::adopt_or_close(int fd, const RegionOptions& options) {
  const Status status = adopt(fd, options);
  if (status == kOk) return status;
  platform::unmap(mapping_);
  platform::close_file(fd);
  return status;
}

void RegionFile::close() {
  if (fd_ < 0) return;
  platform::unlock_byte(fd_, kPresenceByte);
  FAULT("leave.absent");
  // Unmapped before it is removed: Windows does not delete what is mapped.
  if (!leak_) platform::unmap(mapping_);
  remove_if_abandoned(fd_, path_);
  mapping_ = platform::Mapping{};
  region_ = nullptr;
  data_ = nullptr;
  platform::close_file(fd_);
  fd_ = -1;
}

int sweep() {
  const std::string folder = platform::region_folder();
  int removed = 0;
  for (const std::string& prefix : {private_prefix(), group_prefix()}) {
    const bool group = prefix == group_prefix();
    for (const std::string& name : platform::list_folder(folder, prefix)) {
      const std::string path = folder + "/" + name;
      if (name.find('~') != std::string::npos) {
        int bell = platform::open_bell(path);
        if (bell >= 0) platform::close_file(bell);
        else if (bell == -ENXIO && platform::remove_file(path) == 0) removed++;
        continue;
      }
      int fd = platform::open_existing(path);
      if (fd < 0) continue;
      platform::FileFacts facts;
      if (platform::facts_of(fd, facts) == 0 && acceptable(facts, group) && remove_if_abandoned(fd, path)) removed++;
      platform::close_file(fd);
    }
  }
  return removed;
}

Status clear_region(const std::string& name, bool group) {
  const std::string path = region_path(name, group);
  // Present while it is removed: the last who leaves may be about to remove it as well, and would remove what
  // somebody else makes under this name as soon as it is free.
  int fd = platform::open_existing(path);
  for (int turn = 0; fd >= 0 && turn < kClearTurns; turn++) {
    if (platform::lock_byte(fd, kPresenceByte, LockKind::shared) != -EAGAIN) break;
    platform::sleep_ns(kClearNs);
  }
  remove_bells(path.substr(path.rfind('/') + 1));
  const Status status = platform::remove_file(path);
  platform::close_file(fd);
  return status;
}

std::vector<RegionEntry> list_regions() {
  sweep();
  std::vector<RegionEntry> entries;
  for (const std::string& prefix : {private_prefix(), group_prefix()}) {
    for (const std::string& name : platform::list_folder(platform::region_folder(), prefix)) {
      if (name.find('~') == std::string::npos) entries.push_back({name.substr(prefix.size()), prefix == group_prefix()});
    }
  }
  return entries;
}

}  // namespace isthmus
