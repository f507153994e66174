// Kills a process between every two instructions of an operation, and stops it there: what a fault point is for one
// place, single-stepping is for all of them, the stores between two of our lines included. Linux on x64 only.
//
//   step STRIDE [SCENE]    at every STRIDE-th instruction; one scene, or all
#ifdef __x86_64__
#include <map>
#include <sys/personality.h>
#include <sys/user.h>

#include "witness.h"

using namespace isthmus;
using namespace isthmus::test;

namespace {

/** Without randomisation the program lies below, libraries above. */
constexpr uint64_t kFirstLibrary = 0x700000000000;

/** Where the hunt is; written when it fails. */
char where[200];
void say_where(int) {
  if (write(2, where, strlen(where)) < 0) _exit(3);
  _exit(2);
}

pid_t start(const Scene& scene, const std::string& name) {
  setenv("ISTHMUS_REGION", name.c_str(), 1);
  const char* args[] = {"/proc/self/exe", "prey", scene.name, nullptr};
  pid_t pid = 0;
  CHECK(posix_spawn(&pid, args[0], nullptr, nullptr, const_cast<char* const*>(args), environ) == 0, "spawn");
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "%s: not ready: %x", scene.name, status);
  return pid;
}

/** An instruction, and which of its passings. */
struct Point {
  uint64_t at;
  int passing;
};

user_regs_struct registers(pid_t pid) {
  user_regs_struct regs;
  CHECK(ptrace(PTRACE_GETREGS, pid, nullptr, &regs) == 0, "registers");
  return regs;
}

/** True for a stop of ours; false when the operation has ended. */
bool stopped_by_us(pid_t pid) {
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status), "it ended by itself: %x", status);
  if (WSTOPSIG(status) == SIGSTOP) return false;
  CHECK(WSTOPSIG(status) == SIGTRAP, "signal %d", WSTOPSIG(status));
  return true;
}

/** Goes through the operation once, and gives its instructions: of what is passed often the first and some later passings. */
std::vector<Point> survey(const Scene& scene) {
  const std::string name = unique_name("step");
  std::vector<Point> points;
  std::map<uint64_t, int> passings;
  Witness witness(scene, name);
  const pid_t pid = start(scene, name);
  bool after_call = false;
  do {
    const uint64_t at = registers(pid).rip;
    const int passing = ++passings[at];
    const long code = ptrace(PTRACE_PEEKTEXT, pid, at, nullptr);
    const bool call = (code & 0xffff) == 0x050f;
    // Of the library only what it asks the system for, and now and then something else (a copy half made).
    const bool ours = at < kFirstLibrary;
    if (ours ? passing <= 2 || passing % 16 == 0 : call || after_call || platform::random_64() % 32 == 0) points.push_back({at, passing});
    after_call = call;
    CHECK(ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) == 0, "step");
  } while (stopped_by_us(pid));
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return points;
}

/** Lets it run up to a point; false when the operation ended first. */
bool run_to(pid_t pid, const Point& point) {
  const long code = ptrace(PTRACE_PEEKTEXT, pid, point.at, nullptr);
  const long trap = (code & ~0xffl) | 0xcc;
  for (int passing = 1;; passing++) {
    CHECK(ptrace(PTRACE_POKETEXT, pid, point.at, trap) == 0, "break");
    CHECK(ptrace(PTRACE_CONT, pid, nullptr, nullptr) == 0, "go");
    const bool reached = stopped_by_us(pid);
    CHECK(ptrace(PTRACE_POKETEXT, pid, point.at, code) == 0, "mend");
    if (!reached) return false;
    user_regs_struct regs = registers(pid);
    regs.rip--;
    CHECK(regs.rip == point.at && ptrace(PTRACE_SETREGS, pid, nullptr, &regs) == 0, "back");
    if (passing == point.passing) return true;
    CHECK(ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) == 0 && stopped_by_us(pid), "over");
  }
}

/** One death, or one stop. False when it was not met. */
bool hunt(const Scene& scene, const Point& point, bool only_stop) {
  const std::string name = unique_name("step");
  bool met;
  {
    Witness witness(scene, name);
    const pid_t pid = start(scene, name);
    met = run_to(pid, point);
    int status;
    if (only_stop && met) {
      // Longer than two looks at the owner of the lock.
      witness.wait(true);
      witness.drain_if_open();
      witness.try_once(25000000);
      witness.drain_if_open();
      witness.wait(false);
      CHECK(ptrace(PTRACE_DETACH, pid, nullptr, nullptr) == 0, "detach");
      while (waitpid(pid, &status, WNOHANG | WUNTRACED) == 0) witness.drain_if_open();
      // The stop that says it is done.
      if (WIFSTOPPED(status)) {
        kill(pid, SIGCONT);
        while (waitpid(pid, &status, WNOHANG) == 0) witness.drain_if_open();
      }
      CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "after its stop it ended with %x", status);
    } else {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
    }
    witness.prove_alive(true);
    CHECK(witness.peers() == 2, "%u peers", witness.peers());
  }
  CHECK(nothing_left(name), "files left");
  return met;
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const auto scene_named = [](const char* name) -> const Scene& {
    for (const Scene& scene : kScenes) {
      if (is(scene, name)) return scene;
    }
    CHECK(false, "no scene %s", name);
    return kScenes[0];
  };
  signal(SIGABRT, say_where);
  if (argc == 3 && !strcmp(argv[1], "prey")) return prey(scene_named(argv[2]));
  if (argc == 4 && !strcmp(argv[1], "corpse")) return corpse(argv[2], argv[3][0] != 0);
  CHECK(argc >= 2 && atoi(argv[1]) > 0, "usage: step STRIDE [SCENE]");
  const uint64_t stride = strtoull(argv[1], nullptr, 10);
  // So that an instruction stands at the same place in every process.
  personality(ADDR_NO_RANDOMIZE);
  uint64_t all = 0;
  for (const Scene& scene : kScenes) {
    if (argc > 2 && !is(scene, argv[2])) continue;
    const std::vector<Point> points = survey(scene);
    uint64_t deaths = 0, stops = 0;
    for (size_t i = platform::random_64() % stride; i < points.size(); i += stride) {
      snprintf(where, sizeof where, "%s at instruction %zu, %llx.%d\n", scene.name, i, (unsigned long long)points[i].at, points[i].passing);
      if (hunt(scene, points[i], false)) deaths++;
      // A stop costs its time; it is looked at in fewer places.
      if (i % 7 == 0 && hunt(scene, points[i], true)) stops++;
    }
    printf("%-17s %zu points, %llu deaths, %llu stops\n", scene.name, points.size(), (unsigned long long)deaths, (unsigned long long)stops);
    fflush(stdout);
    all += deaths + stops;
  }
  printf("step ok: %llu, the slowest proof took %.1f ms\n", (unsigned long long)all, static_cast<double>(Witness::slowest_ns) / 1e6);
  return 0;
}

#else
#include <cstdio>

int main() {
  puts("step: nothing is tested here, only on x64");
  return 0;
}
#endif
