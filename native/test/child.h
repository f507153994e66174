// Processes that a test starts, ends and stops: the one place of the tests that asks which system it is on.
#pragma once

#include <string>
#include <vector>

#include "check.h"

#ifdef _WIN32
#include "../platform/windows-layer.h"
#else
#include <csignal>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
extern char** environ;
#endif

namespace isthmus::test {

/** What has become of a process; what is not among these fails the test. */
enum class Fate { running, stopped, killed, finished };

#ifdef _WIN32

/** This program once more, with other arguments, none of which holds a quotation mark. */
class Child {
 public:
  explicit Child(const std::vector<std::string>& arguments) {
    wchar_t self[1024];
    const DWORD length = ::GetModuleFileNameW(nullptr, self, 1024);
    CHECK(length > 0 && length < 1024, "the program has no name");
    std::wstring line = L"\"" + std::wstring(self) + L"\"";
    for (const std::string& argument : arguments) line += L" \"" + std::wstring(argument.begin(), argument.end()) + L"\"";
    STARTUPINFOW startup = {};
    startup.cb = sizeof startup;
    take_children_along();
    const BOOL begun = ::CreateProcessW(self, &line[0], nullptr, nullptr, TRUE, 0, nullptr, nullptr, &startup, &process_);
    CHECK(begun, "spawn: %lu", ::GetLastError());
  }
  /** What it is now. */
  Fate look() {
    if (::WaitForSingleObject(process_.hProcess, 0) == WAIT_OBJECT_0) return end();
    // There is no asking how often a thread is suspended, but this. It is the only one of its process.
    const DWORD times = ::SuspendThread(process_.hThread);
    if (times == static_cast<DWORD>(-1)) return Fate::running;
    ::ResumeThread(process_.hThread);
    return times > 0 ? Fate::stopped : Fate::running;
  }
  /** Waits for its end. */
  Fate end() {
    DWORD code = 0;
    ::WaitForSingleObject(process_.hProcess, INFINITE);
    CHECK(::GetExitCodeProcess(process_.hProcess, &code), "exit code: %lu", ::GetLastError());
    ::CloseHandle(process_.hThread);
    ::CloseHandle(process_.hProcess);
    CHECK(code == 0 || code == kKilled, "a child failed by itself: %lx", code);
    return code == kKilled ? Fate::killed : Fate::finished;
  }
  void kill() { ::TerminateProcess(process_.hProcess, kKilled); }
  void go_on() { ::ResumeThread(process_.hThread); }

 private:
  /** With which platform::end_process ends, too. An assertion that fails gives another. */
  static constexpr DWORD kKilled = 1;
  /** Puts this process, and so all that it starts, in a job that ends with its only handle: at our death. */
  static void take_children_along() {
    static const HANDLE job = [] {
      HANDLE made = ::CreateJobObjectW(nullptr, nullptr);
      JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {};
      limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
      CHECK(::SetInformationJobObject(made, JobObjectExtendedLimitInformation, &limits, sizeof limits), "job: %lu", ::GetLastError());
      CHECK(::AssignProcessToJobObject(made, ::GetCurrentProcess()), "job: %lu", ::GetLastError());
      return made;
    }();
    (void)job;
  }
  PROCESS_INFORMATION process_ = {};
};

inline void ignore_broken_pipes() {}
/** A failed run leaves no child behind: here its parent has seen to that. */
inline void die_with_parent() {}

/** Is the process ready to run, and perhaps not running? Not known here. */
inline bool wants_processor(uint32_t) { return false; }

#else

/** This program once more, with other arguments. `ISTHMUS_TEST_RUNNER`: an emulator that it needs to run. */
class Child {
 public:
  explicit Child(const std::vector<std::string>& arguments) {
    const char* runner = getenv("ISTHMUS_TEST_RUNNER");
    char self[1024];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(length > 0, "the program has no name");
    self[length] = '\0';
    std::vector<const char*> line;
    if (runner) line.push_back(runner);
    line.push_back(self);
    for (const std::string& argument : arguments) line.push_back(argument.c_str());
    line.push_back(nullptr);
    int rc = posix_spawnp(&pid_, line[0], nullptr, nullptr, const_cast<char* const*>(line.data()), environ);
    CHECK(rc == 0, "spawn: %d", rc);
  }
  /** What it is now. */
  Fate look() { return fate(WNOHANG | WUNTRACED); }
  /** Waits for its end. */
  Fate end() { return fate(0); }
  void kill() { ::kill(pid_, SIGKILL); }
  void go_on() { ::kill(pid_, SIGCONT); }

 private:
  Fate fate(int flags) {
    int status;
    const pid_t changed = waitpid(pid_, &status, flags);
    CHECK(changed == 0 || changed == pid_, "waitpid: %d", changed);
    if (changed == 0) return Fate::running;
    if (WIFSTOPPED(status)) return Fate::stopped;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return Fate::killed;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child failed by itself: %x", status);
    return Fate::finished;
  }
  pid_t pid_ = 0;
};

/** A bell whose listener has just gone; every runtime that the ring lives in ignores the signal too. */
inline void ignore_broken_pipes() { signal(SIGPIPE, SIG_IGN); }
/** A failed run leaves no child behind. */
inline void die_with_parent() {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
}

/** Is the process ready to run, and perhaps not running? */
inline bool wants_processor(uint32_t pid) {
  char path[64], state = '?';
  snprintf(path, sizeof path, "/proc/%u/stat", pid);
  if (FILE* file = fopen(path, "r")) {
    if (fscanf(file, "%*d %*s %c", &state) != 1) state = '?';
    fclose(file);
  }
  return state == 'R';
}

#endif

}  // namespace isthmus::test
