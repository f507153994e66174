// Sleeping and waking across processes on Windows, whose waiting on an address stays inside one process:
// a semaphore for each word, an event for each bell. Their names carry the region's nonce, which only those
// know who may read the region. Nothing of them outlives its last user.
#ifdef _WIN32

#include "windows-layer.h"

#include <cerrno>
#include <cstdio>
#include <mutex>

namespace isthmus::platform {
namespace {

/** The semaphores of one mapping. A mapping belongs to one thread; only the list of them is everybody's. */
struct Mapped {
  uint8_t* base;
  size_t bytes;
  uint64_t nonce = 0;
  struct Semaphore {
    uint64_t offset;
    uint32_t kind;
    HANDLE handle;
  };
  std::vector<Semaphore> semaphores;
};

std::mutex mapped_mutex;
std::vector<std::unique_ptr<Mapped>> all_mapped;

Mapped* mapped_at(const void* address) {
  const uint8_t* at = static_cast<const uint8_t*>(address);
  std::lock_guard<std::mutex> guard(mapped_mutex);
  for (const std::unique_ptr<Mapped>& mapped : all_mapped) {
    if (at >= mapped->base && at < mapped->base + mapped->bytes) return mapped.get();
  }
  return nullptr;
}

/**
 * Sleepers on one word are of four kinds, by the value that they saw, with a semaphore and a count each: so
 * somebody who comes later does not take what was given to those who slept already.
 */
constexpr uint32_t kKinds = sizeof(WaitWord::sleepers) / sizeof(std::atomic<uint32_t>);

HANDLE semaphore_of(const WaitWord& word, uint32_t kind) {
  Mapped* mapped = mapped_at(&word);
  if (!mapped || mapped->nonce == 0) return nullptr;
  const uint64_t offset = static_cast<uint64_t>(reinterpret_cast<const uint8_t*>(&word) - mapped->base);
  for (const Mapped::Semaphore& semaphore : mapped->semaphores) {
    if (semaphore.offset == offset && semaphore.kind == kind) return semaphore.handle;
  }
  wchar_t name[80];
  swprintf(name, sizeof name / sizeof name[0], L"Global\\isthmus-%016llx-%llu-%u", static_cast<unsigned long long>(mapped->nonce),
           static_cast<unsigned long long>(offset), kind);
  HANDLE handle = ::CreateSemaphoreW(Security::mine().attributes(), 0, 1 << 30, name);
  if (handle) mapped->semaphores.push_back({offset, kind, handle});
  return handle;
}

/** Takes one sleeper off the count; false when a waker has done so. */
bool take_one(std::atomic<uint32_t>& sleepers) {
  uint32_t count = sleepers.load(std::memory_order_relaxed);
  while (count > 0) {
    if (sleepers.compare_exchange_weak(count, count - 1, std::memory_order_seq_cst)) return true;
  }
  return false;
}

std::wstring bell_name(const std::string& path) { return L"Global\\isthmus-bell-" + wide(path.substr(path.rfind('~') + 1)).substr(4); }

}  // namespace

void remember_mapping(const Mapping& mapping) {
  auto mapped = std::make_unique<Mapped>();
  mapped->base = mapping.base;
  mapped->bytes = mapping.bytes;
  std::lock_guard<std::mutex> guard(mapped_mutex);
  all_mapped.push_back(std::move(mapped));
}

void forget_mapping(const Mapping& mapping) {
  std::lock_guard<std::mutex> guard(mapped_mutex);
  for (auto it = all_mapped.begin(); it != all_mapped.end(); ++it) {
    if ((*it)->base != mapping.base) continue;
    for (const Mapped::Semaphore& semaphore : (*it)->semaphores) ::CloseHandle(semaphore.handle);
    all_mapped.erase(it);
    return;
  }
}

void name_mapping(const Mapping& mapping, uint64_t nonce) {
  if (Mapped* mapped = mapped_at(mapping.base)) mapped->nonce = nonce;
}

bool wait_word(WaitWord& word, uint32_t value, uint64_t timeout_ns) {
  const uint32_t kind = value % kKinds;
  std::atomic<uint32_t>& sleepers = word.sleepers[kind];
  const DWORD ms = static_cast<DWORD>((timeout_ns + 999999) / 1000000);
  HANDLE semaphore = semaphore_of(word, kind);
  if (!semaphore) {
    ::Sleep(1);
    return true;
  }
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  // Pairs with the fence of the wakers: they see us counted, or we see the new value.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const bool changed = word.value.load(std::memory_order_relaxed) != value;
  if (!changed && ::WaitForSingleObject(semaphore, ms) == WAIT_OBJECT_0) return true;
  // Counted off by a waker meanwhile: then what he gave is ours, and must not stay for somebody later.
  if (!take_one(sleepers)) return ::WaitForSingleObject(semaphore, 0) == WAIT_OBJECT_0 || changed;
  return changed;
}

void wake_one(WaitWord& word) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (uint32_t kind = 0; kind < kKinds; kind++) {
    if (!take_one(word.sleepers[kind])) continue;
    if (HANDLE semaphore = semaphore_of(word, kind)) ::ReleaseSemaphore(semaphore, 1, nullptr);
    return;
  }
}

void wake_all(WaitWord& word) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (uint32_t kind = 0; kind < kKinds; kind++) {
    if (word.sleepers[kind].load(std::memory_order_relaxed) == 0) continue;
    const uint32_t count = word.sleepers[kind].exchange(0, std::memory_order_seq_cst);
    // The count is shared memory: no more than can be.
    const LONG bounded = static_cast<LONG>(count < 4096 ? count : 4096);
    HANDLE semaphore = semaphore_of(word, kind);
    if (bounded > 0 && semaphore) ::ReleaseSemaphore(semaphore, bounded, nullptr);
  }
}

Result create_bell(const std::string& path, uint32_t) {
  HANDLE event = ::CreateEventW(Security::mine().attributes(), FALSE, FALSE, bell_name(path).c_str());
  return event ? number_of(event) : failure();
}

Result open_bell(const std::string& path) {
  HANDLE event = ::OpenEventW(EVENT_MODIFY_STATE, FALSE, bell_name(path).c_str());
  return event ? number_of(event) : -ENXIO;
}

Result ring_bell(int fd) { return ::SetEvent(handle_of(fd)) ? 0 : failure(); }

struct BellWatch {
  HANDLE wait = nullptr;
  void (*rung)(void*) = nullptr;
  void* data = nullptr;
};

static void CALLBACK on_event(void* context, BOOLEAN) {
  const BellWatch* watch = static_cast<const BellWatch*>(context);
  watch->rung(watch->data);
}

BellWatch* watch_bell(int bell, void (*rung)(void*), void* data) {
  auto watch = std::make_unique<BellWatch>();
  watch->rung = rung;
  watch->data = data;
  const bool begun = ::RegisterWaitForSingleObject(&watch->wait, handle_of(bell), on_event, watch.get(), INFINITE, WT_EXECUTEINWAITTHREAD);
  return begun ? watch.release() : nullptr;
}

void unwatch_bell(BellWatch* watch) {
  ::UnregisterWaitEx(watch->wait, INVALID_HANDLE_VALUE);
  delete watch;
}

}  // namespace isthmus::platform

#endif
