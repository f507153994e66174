// How an operation of the ring ended. Failures of the operating system are a negative errno.
#pragma once

#include <cstdint>

namespace isthmus {

using Status = int32_t;

enum : Status {
  kOk = 0,
  kFull = 1,        // the slowest receiver is a ring behind
  kEmpty = 2,       // nothing to read
  kBusy = 3,        // the lock was not free in the time given
  kTooLarge = 4,    // larger than this way of sending can carry
  kEvictedSelf = 5, // this receiver was evicted
  kCorrupt = 6,     // what stands in the region cannot be right
  kNeedsSpace = 7,  // the caller's buffer is too small for the next message
  kLarge = 8,       // a message made of chunks is complete
  kMismatch = 9,    // the region is of another version, type or policy
  kForeign = 10,    // the file is not ours, or open to others
  kNoSlot = 11,     // as many peers as the region has slots
  kProducerHeld = 12, // ROUTE: another process or handle is the producer
  kWrongRole = 13,
  kNoMemory = 14,
  kUnsupported = 15,
};

}  // namespace isthmus
