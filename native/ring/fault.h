// Places where a test may have the process killed. In what is published they do not exist.
#pragma once

#ifdef ISTHMUS_FAULT_POINTS
namespace isthmus {
/** Kills this process at the `countdown`-th passing of the point (1 = the next). An empty name disarms. */
void arm_fault(const char* point, int countdown, bool stop_only);
void pass_fault(const char* point);
const char* const* fault_points(int& count);
}  // namespace isthmus
#define FAULT(point) ::isthmus::pass_fault(point)
#else
#define FAULT(point) ((void)0)
#endif
