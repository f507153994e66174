// Kills processes at every fault point and at random moments, and checks that the survivors neither
// stall, nor see a torn, repeated or missing message, and that nothing is left afterwards.
//
//   kill --scripted N    each point in each scenario, at its 1st to Nth passing
//   kill --random N      N kills at random moments under load
//   kill --stopped N     stopped in place of killed, in the lock and out of it; then goes on, or is killed
#include <thread>

#include "company.h"

using namespace isthmus;
using namespace isthmus::test;

namespace {

bool kill_alone(const char* scenario, const std::string& point, int countdown) {
  const std::string name = unique_name("kill");
  const bool killed = start(scenario, name, point, countdown).end() == Fate::killed;
  {
    Survivors survivors(name);
    survivors.prove_alive();
    CHECK(survivors.peers() == 2, "the dead is still counted");
  }
  CHECK(nothing_left(name), "files left after %s", point.c_str());
  return killed;
}

/**
 * What becomes of it while the survivors live on; after so many turns they leave it to others to wake them. A ring
 * is full only if they seldom do.
 */
Fate fate_of(Child& child, Survivors& survivors, uint32_t turns_between) {
  Fate fate;
  for (uint32_t turn = 1; (fate = child.look()) == Fate::running; turn++) {
    survivors.turn();
    if (turn % turns_between == 0) survivors.listen();
  }
  return fate;
}

bool kill_in_company(const char* scenario, const std::string& point, int countdown) {
  const std::string name = unique_name("kill");
  bool killed = false;
  {
    Survivors survivors(name);
    Child child = start(scenario, name, point, countdown);
    killed = fate_of(child, survivors, strcmp(scenario, "send") ? ~0u : 4) == Fate::killed;
    survivors.prove_alive();
    CHECK(survivors.peers() == 2, "the dead is still counted");
  }
  CHECK(nothing_left(name), "files left after %s", point.c_str());
  return killed;
}

int scripted(int depth) {
  int points, kills = 0;
  const char* const* names = fault_points(points);
  for (int p = 0; p < points; p++) {
    int here = 0;
    for (int k = 1; k <= depth; k++) {
      // The later passings are spread, so that other states of the ring are met.
      const int countdown = k <= 3 ? k : 3 + (k - 3) * 5;
      for (const char* scenario : {"send", "receive", "churn"}) {
        if (kill_alone(scenario, names[p], countdown)) here++;
        if (kill_in_company(scenario, names[p], countdown)) here++;
      }
    }
    // Needs two processes in the lock's slow path at once; chance decides whether a run meets it.
    const bool by_chance = !strcmp(names[p], "lock.before-wake");
    CHECK(here > 0 || by_chance, "the point %s was never passed", names[p]);
    kills += here;
  }
  return kills;
}

void end_by_kill(Child& child) {
  child.kill();
  CHECK(child.end() == Fate::killed, "it ended by itself");
}

int randomly(int wanted) {
  const std::string name = unique_name("random");
  int kills = 0;
  uint64_t seen = 0;
  {
    Survivors survivors(name);
    auto begin = [&](size_t i) { return start(i % 2 ? "receive-forever" : "send-forever", name, "", 0); };
    std::vector<Child> children;
    for (size_t i = 0; i < 4; i++) children.push_back(begin(i));
    while (kills < wanted) {
      const uint64_t until = platform::now_ns() + 1000000 + platform::random_64() % 12000000;
      while (platform::now_ns() < until) survivors.turn();
      const size_t i = platform::random_64() % children.size();
      end_by_kill(children[i]);
      kills++;
      survivors.prove_alive();
      children[i] = begin(i);
    }
    for (Child& child : children) end_by_kill(child);
    survivors.prove_alive();
    CHECK(survivors.peers() == 2, "the dead are still counted");
    seen = survivors.others();
  }
  CHECK(nothing_left(name), "files left");
  printf("%llu messages of the killed checked\n", static_cast<unsigned long long>(seen));
  return kills;
}

/** Ends the stop, in one way or the other. */
void release(Child& child, bool killed) { killed ? child.kill() : child.go_on(); }

/** A stopped process is alive: it is counted, it keeps its lock, others wait as long as they said and go on after it. */
void stop_at(const char* scenario, const char* point, int countdown, bool holds_lock, bool killed) {
  const std::string name = unique_name("stop");
  {
    Survivors survivors(name);
    Child child = start(scenario, name, point, -countdown);
    CHECK(fate_of(child, survivors, 1) == Fate::stopped, "the point %s was not passed", point);
    // Several of the slices after which the owner of the lock is looked at.
    const Status meanwhile = survivors.try_once(60 * 1000000);
    survivors.drain();
    CHECK(survivors.peers() == 3 || !strncmp(point, "join", 4), "stopped at %s, it is no longer counted", point);
    if (holds_lock) {
      CHECK(meanwhile == kBusy, "stopped at %s, its lock was taken from it: %d", point, meanwhile);
      // One that waits longer than the stop lasts gets the lock.
      Status later = kBusy;
      std::thread patient([&] { later = survivors.try_once(60 * kSecond); });
      platform::sleep_ns(20 * 1000000);
      release(child, killed);
      patient.join();
      // The thread that was stopped in the lock may have filled the ring before the patient one had its turn.
      CHECK(later == kOk || later == kFull, "after the stop, send gave %d", later);
    } else {
      CHECK(meanwhile == kOk || meanwhile == kFull, "stopped at %s outside of the lock: %d", point, meanwhile);
      release(child, killed);
    }
    // One that is being killed may look stopped for a moment yet.
    Fate fate;
    while ((fate = fate_of(child, survivors, ~0u)) == Fate::stopped) survivors.turn();
    CHECK((fate == Fate::killed) == killed, "it ended otherwise");
    survivors.prove_alive();
    CHECK(survivors.peers() == 2, "the dead is still counted");
  }
  CHECK(nothing_left(name), "files left after a stop at %s", point);
}

/** Whoever clears a channel waits for one who is removing it; else what is made next under its name would be removed. */
void clear_while_leaving() {
  const std::string name = unique_name("clear");
  Child child = start("leave", name, "leave.same", -1);
  Fate fate;
  while ((fate = child.look()) == Fate::running) platform::sleep_ns(100000);
  CHECK(fate == Fate::stopped, "nobody left");
  Channel first, second;
  HandleOptions handle;
  std::thread clearing([&] {
    clear_region(name, false);
    CHECK(first.open(region(name), handle) == kOk, "open");
  });
  // By now it waits, or has done something wrong.
  platform::sleep_ns(20 * 1000000);
  child.go_on();
  CHECK(child.end() == Fate::finished, "it did not end by itself");
  clearing.join();
  CHECK(second.open(region(name), handle) == kOk && second.count(kReceiver) == 2, "two who come afterwards meet");
  first.close();
  second.close();
  CHECK(nothing_left(name), "files left");
}

int stopped(int depth) {
  int stops = 1;
  clear_while_leaving();
  for (int countdown = 1; countdown <= depth; countdown++) {
    for (bool killed : {false, true}) {
      for (const char* point : {"lock.taken", "send.room", "send.header", "send.payload", "send.commit", "send.published"}) {
        stop_at("send", point, countdown + 1, true, killed);
        stops++;
      }
      stop_at("receive", "join.locked", 1, true, killed);
      stop_at("receive", "join.active", 1, true, killed);
      stop_at("send", "send.unlocked", countdown, false, killed);
      stop_at("send", "send.before-wake", 1, false, killed);
      stop_at("receive", "receive.copied", countdown, false, killed);
      stop_at("receive", "bell.created", 1, false, killed);
      stops += 6;
    }
  }
  return stops;
}

}  // namespace

int main(int argc, char** argv) {
  ignore_broken_pipes();
  if (argc == 6 && !strcmp(argv[1], "victim")) return victim(argv[2], argv[3], argv[4], atoi(argv[5]));
  CHECK(argc == 3, "usage: kill --scripted N | --random N | --stopped N");
  const int n = atoi(argv[2]);
  const std::string mode = argv[1];
  const int kills = mode == "--scripted" ? scripted(n) : mode == "--stopped" ? stopped(n) : randomly(n);
  stalls.print();
  printf("kill ok: %d kills\n", kills);
  return 0;
}
