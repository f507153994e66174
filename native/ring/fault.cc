// Fault points: compiled only into builds for tests.
#include "fault.h"

#ifdef ISTHMUS_FAULT_POINTS

#include <cstring>
#include <string>

#include "../platform/platform.h"

namespace isthmus {
namespace {
thread_local std::string armed;
thread_local int remaining = 0;
thread_local bool only_stop = false;

// Every name that stands in a FAULT(…); native/test checks that each one is really passed.
const char* const kPoints[] = {
    "create.allocated",  "create.initialised", "create.locked",     "create.published",  "open.opened",
    "open.present",      "open.mapped",        "claim.locked",      "claim.marked",      "join.locked",
    "join.cursor",       "join.active",        "join.counted",      "lock.taken",        "lock.before-wake",
    "send.room",         "send.pad",           "send.header",       "send.payload",      "send.commit",
    "send.published",    "send.unlocked",      "send.before-wake",  "chunk.published",   "drop.tail",
    "evict.locked",      "evict.marked",       "evict.mourning",    "receive.copied",    "receive.cursor",
    "wait.armed",        "bell.created",       "leave.marked",      "leave.bell",        "leave.absent",
    "leave.exclusive",   "leave.same",         "leave.removed",     "receive.before-wake",
};
}  // namespace

void arm_fault(const char* point, int countdown, bool stop_only) {
  armed = point;
  remaining = countdown;
  only_stop = stop_only;
}

void pass_fault(const char* point) {
  if (remaining <= 0 || armed != point) return;
  if (--remaining == 0) platform::end_process(only_stop);
}

const char* const* fault_points(int& count) {
  count = static_cast<int>(sizeof kPoints / sizeof kPoints[0]);
  return kPoints;
}

}  // namespace isthmus

#endif
