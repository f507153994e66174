// How long the survivors of a kill needed to go on, and what part of it nobody can help: the machine ran
// nobody, or the receiver that held the ring up was alive and waited for a processor.
#pragma once

#include <cstdio>

#include "check.h"
#include "child.h"

namespace isthmus::test {

/** Looks at a region without taking part in it. */
class Watcher {
 public:
  ~Watcher() {
    platform::unmap(mapping_);
    platform::close_file(fd_);
  }
  void open(const RegionOptions& options) {
    platform::FileFacts facts;
    fd_ = platform::open_existing(region_path(options.name, options.group));
    CHECK(fd_ >= 0 && platform::facts_of(fd_, facts) == 0, "the watcher opens: %d", fd_);
    CHECK(platform::map(fd_, facts.bytes, mapping_) == 0, "the watcher maps");
  }
  /** Is the process of the slowest receiver ready to run, and not running fast enough? */
  bool slowest_is_starved() const {
    const Region* region = reinterpret_cast<const Region*>(mapping_.base);
    const Peer* slowest = nullptr;
    for (const Peer& peer : region->peers) {
      if (peer.state != kActive || !(peer.role & kReceiver)) continue;
      if (!slowest || peer.cursor < slowest->cursor) slowest = &peer;
    }
    return slowest && wants_processor(slowest->pid);
  }

 private:
  platform::Mapping mapping_;
  int fd_ = -1;
};

/** Of many recoveries: how long they took, and how long without what nobody can help. */
struct Stalls {
  uint64_t recoveries = 0, total_ns = 0, worst_ns = 0, worst_own_ns = 0, over_100_ms = 0, own_over_100_ms = 0;

  void print() const {
    const double count = recoveries ? static_cast<double>(recoveries) : 1;
    printf("%llu recoveries: mean %.2f ms, slowest %.1f ms, %llu over 100 ms; without the time in which the machine ran "
           "nobody of us or the slowest receiver waited for a processor: slowest %.1f ms, %llu over 100 ms\n",
           static_cast<unsigned long long>(recoveries), static_cast<double>(total_ns) / 1e6 / count,
           static_cast<double>(worst_ns) / 1e6, static_cast<unsigned long long>(over_100_ms),
           static_cast<double>(worst_own_ns) / 1e6, static_cast<unsigned long long>(own_over_100_ms));
  }
};

/** One recovery, looked at in short steps. */
class Recovery {
 public:
  explicit Recovery(const Watcher& watcher) : watcher_(watcher), began_(platform::now_ns()), last_(began_) {}
  uint64_t so_far_ns() const { return platform::now_ns() - began_; }
  /** After every short sleep. */
  void look() {
    const uint64_t now = platform::now_ns();
    const uint64_t step = now - last_;
    last_ = now;
    if (watcher_.slowest_is_starved()) excused_ns_ += step;
    else if (step > kStepNs) excused_ns_ += step - kStepNs;
  }
  void end(Stalls& stalls) {
    const uint64_t took = so_far_ns();
    const uint64_t own = took > excused_ns_ ? took - excused_ns_ : 0;
    stalls.recoveries++;
    stalls.total_ns += took;
    if (took > 100000000) stalls.over_100_ms++;
    if (own > 100000000) stalls.own_over_100_ms++;
    if (took > stalls.worst_ns) stalls.worst_ns = took;
    if (own > stalls.worst_own_ns) stalls.worst_own_ns = own;
  }

 private:
  /** A call that waits for the lock of somebody dead, with a margin: a longer step was not ours. */
  static constexpr uint64_t kStepNs = 25000000;
  const Watcher& watcher_;
  uint64_t began_, last_, excused_ns_ = 0;
};

}  // namespace isthmus::test
