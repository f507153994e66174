// The platform layer for Windows. Regions are files in a folder that only the user may enter; LockFileEx
// says who lives. What was run of it, and where, is said in docs/shared-memory.md.
#ifdef _WIN32

#include "windows-layer.h"

// After windows.h, which they need.
#include <ntsecapi.h>
#include <shlobj.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace isthmus::platform {
namespace {

constexpr uint32_t kUser = 0, kStranger = 1;
const char kNewPrefix[] = "isthmus-new-";
const char kGonePrefix[] = "isthmus-gone-";
constexpr uint64_t kAbandoned100Ns = 60ull * 10000000;
constexpr DWORD kShareAll = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

std::string narrow(const wchar_t* text) {
  int length = ::WideCharToMultiByte(CP_UTF8, 0, text, -1, nullptr, 0, nullptr, nullptr);
  std::string result(static_cast<size_t>(length > 0 ? length - 1 : 0), '\0');
  if (length > 1) ::WideCharToMultiByte(CP_UTF8, 0, text, -1, &result[0], length, nullptr, nullptr);
  return result;
}

/** Opens what lies at the path itself: a link is not followed. */
HANDLE open_itself(const std::string& path, DWORD access) {
  const DWORD flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
  return ::CreateFileW(wide(path).c_str(), access, kShareAll, nullptr, OPEN_EXISTING, flags, nullptr);
}

Result facts_from(HANDLE file, FileFacts& facts) {
  BY_HANDLE_FILE_INFORMATION info;
  if (!::GetFileInformationByHandle(file, &info)) return failure();
  facts.inode = static_cast<uint64_t>(info.nFileIndexHigh) << 32 | info.nFileIndexLow;
  facts.device = info.dwVolumeSerialNumber;
  facts.bytes = static_cast<uint64_t>(info.nFileSizeHigh) << 32 | info.nFileSizeLow;
  facts.links = info.nNumberOfLinks;
  facts.regular = !(info.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT | FILE_ATTRIBUTE_DEVICE));
  const bool is_private = Security::mine().is_private(file);
  facts.owner = is_private ? kUser : kStranger;
  facts.mode = is_private ? 0600 : 0666;
  return 0;
}

/** The folder must be ours alone: who may write to it may put another file in the place of a region. */
Result check_folder(const std::string& folder) {
  if (!Security::mine().attributes()) return -EPERM;
  if (!::CreateDirectoryW(wide(folder).c_str(), Security::mine().attributes()) && ::GetLastError() != ERROR_ALREADY_EXISTS) {
    return failure();
  }
  HANDLE handle = open_itself(folder, READ_CONTROL | FILE_READ_ATTRIBUTES);
  if (handle == INVALID_HANDLE_VALUE) return failure();
  BY_HANDLE_FILE_INFORMATION info;
  const bool plain = ::GetFileInformationByHandle(handle, &info) && (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) &&
                     !(info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT);
  const bool ours = plain && Security::mine().is_private(handle);
  ::CloseHandle(handle);
  return ours ? 0 : -EPERM;
}

bool mark_deleted(HANDLE file) {
  FILE_DISPOSITION_INFO info = {TRUE};
  return ::SetFileInformationByHandle(file, FileDispositionInfo, &info, sizeof info);
}

Result rename_to(HANDLE file, const std::string& path) {
  const std::wstring name = wide(path);
  const size_t bytes = sizeof(FILE_RENAME_INFO) + name.size() * sizeof(wchar_t);
  auto memory = std::make_unique<uint8_t[]>(bytes);
  FILE_RENAME_INFO* info = reinterpret_cast<FILE_RENAME_INFO*>(memory.get());
  info->ReplaceIfExists = FALSE;
  info->FileNameLength = static_cast<DWORD>(name.size() * sizeof(wchar_t));
  std::copy(name.begin(), name.end(), info->FileName);
  return ::SetFileInformationByHandle(file, FileRenameInfo, info, static_cast<DWORD>(bytes)) ? 0 : failure();
}

std::string random_name(const char* prefix) {
  char digits[24];
  snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(random_64()));
  return std::string(prefix) + digits;
}

/** Removes what was killed before it was published, and what was mapped when it was removed. */
void remove_leftovers(const std::string& folder) {
  FILETIME filetime;
  ::GetSystemTimeAsFileTime(&filetime);
  const uint64_t now = static_cast<uint64_t>(filetime.dwHighDateTime) << 32 | filetime.dwLowDateTime;
  for (const char* prefix : {kNewPrefix, kGonePrefix}) {
    for (const std::string& name : list_folder(folder, prefix)) {
      HANDLE file = open_itself(folder + "/" + name, DELETE | FILE_READ_ATTRIBUTES);
      if (file == INVALID_HANDLE_VALUE) continue;
      BY_HANDLE_FILE_INFORMATION info = {};
      ::GetFileInformationByHandle(file, &info);
      const uint64_t made = static_cast<uint64_t>(info.ftCreationTime.dwHighDateTime) << 32 | info.ftCreationTime.dwLowDateTime;
      // Nobody takes a minute to publish; of what is gone already, whatever lets itself be deleted.
      if (prefix == kGonePrefix || now > made + kAbandoned100Ns) mark_deleted(file);
      ::CloseHandle(file);
    }
  }
}

}  // namespace

Result failure(DWORD error) {
  switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return -ENOENT;
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS: return -EEXIST;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION: return -EACCES;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL: return -ENOSPC;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_COMMITMENT_LIMIT:
    case ERROR_OUTOFMEMORY: return -ENOMEM;
    case ERROR_LOCK_VIOLATION:
    case ERROR_IO_PENDING: return -EAGAIN;
    case ERROR_TOO_MANY_OPEN_FILES: return -EMFILE;
    default: return -EIO;
  }
}

std::wstring wide(const std::string& path) {
  int length = ::MultiByteToWideChar(CP_UTF8, 0, path.data(), static_cast<int>(path.size()), nullptr, 0);
  std::wstring text(static_cast<size_t>(length), L'\0');
  ::MultiByteToWideChar(CP_UTF8, 0, path.data(), static_cast<int>(path.size()), &text[0], length);
  for (wchar_t& letter : text) {
    if (letter == L'/') letter = L'\\';
  }
  return L"\\\\?\\" + text;
}

const bool kGroupAccess = false;

std::string region_folder() {
  static const std::string folder = [] {
    PWSTR path = nullptr;
    std::string result;
    if (::SHGetKnownFolderPath(FOLDERID_LocalAppData, KF_FLAG_DEFAULT, nullptr, &path) == S_OK) result = narrow(path) + "/isthmus";
    ::CoTaskMemFree(path);
    return result;
  }();
  return folder;
}

uint32_t user_id() { return kUser; }
uint32_t group_id() { return 0; }
int32_t process_id() { return static_cast<int32_t>(::GetCurrentProcessId()); }

Result create_unnamed(const std::string& folder, uint64_t bytes, uint32_t) {
  const Result checked = check_folder(folder);
  if (checked != 0) return checked;
  remove_leftovers(folder);
  const std::wstring path = wide(folder + "/" + random_name(kNewPrefix));
  // Temporary: the system need not write to the disk what changes in memory.
  HANDLE file = ::CreateFileW(path.c_str(), GENERIC_READ | GENERIC_WRITE | DELETE, kShareAll, Security::mine().attributes(), CREATE_NEW,
                              FILE_ATTRIBUTE_TEMPORARY | FILE_ATTRIBUTE_NOT_CONTENT_INDEXED, nullptr);
  if (file == INVALID_HANDLE_VALUE) return failure();
  LARGE_INTEGER end;
  end.QuadPart = static_cast<LONGLONG>(bytes);
  // Allocates, so that a full disk is met here.
  if (::SetFilePointerEx(file, end, nullptr, FILE_BEGIN) && ::SetEndOfFile(file)) return number_of(file);
  const Result result = failure();
  mark_deleted(file);
  ::CloseHandle(file);
  return result;
}

Result publish(int fd, const std::string& path) {
  const Result result = rename_to(handle_of(fd), path);
  // Who took so long that it was tidied away begins anew, as does who came second.
  return result == -ENOENT ? -EEXIST : result;
}

void discard(int fd) {
  mark_deleted(handle_of(fd));
  close_file(fd);
}

Result open_existing(const std::string& path) {
  HANDLE file = open_itself(path, GENERIC_READ | GENERIC_WRITE);
  if (file == INVALID_HANDLE_VALUE) return failure();
  return number_of(file);
}

Result facts_of(int fd, FileFacts& facts) { return facts_from(handle_of(fd), facts); }

Result facts_of_path(const std::string& path, FileFacts& facts) {
  HANDLE file = open_itself(path, READ_CONTROL | FILE_READ_ATTRIBUTES);
  if (file == INVALID_HANDLE_VALUE) return failure();
  const Result result = facts_from(file, facts);
  ::CloseHandle(file);
  return result;
}

Result map(int fd, size_t bytes, Mapping& mapping) {
  const DWORD high = static_cast<DWORD>(static_cast<uint64_t>(bytes) >> 32), low = static_cast<DWORD>(bytes);
  HANDLE section = ::CreateFileMappingW(handle_of(fd), nullptr, PAGE_READWRITE, high, low, nullptr);
  if (!section) return failure();
  void* base = ::MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, bytes);
  const Result result = base ? 0 : failure();
  ::CloseHandle(section);
  if (!base) return result;
  mapping.base = static_cast<uint8_t*>(base);
  mapping.bytes = bytes;
  remember_mapping(mapping);
  return 0;
}

void unmap(Mapping& mapping) {
  if (!mapping.base) return;
  forget_mapping(mapping);
  ::UnmapViewOfFile(mapping.base);
  mapping = Mapping{};
}

void close_file(int fd) {
  if (fd >= 0) ::CloseHandle(handle_of(fd));
}

Result remove_file(const std::string& path) {
  HANDLE file = open_itself(path, DELETE);
  if (file == INVALID_HANDLE_VALUE) return failure();
  // A file that somebody has mapped can be renamed and not deleted, and the name of one that is being
  // deleted is not free before the last handle is closed: so away with the name first.
  const size_t slash = path.rfind('/');
  Result result = rename_to(file, path.substr(0, slash + 1) + random_name(kGonePrefix));
  if (mark_deleted(file)) result = 0;
  ::CloseHandle(file);
  return result;
}

std::vector<std::string> list_folder(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> names;
  WIN32_FIND_DATAW entry;
  HANDLE search = ::FindFirstFileW(wide(folder + "/" + prefix + "*").c_str(), &entry);
  if (search == INVALID_HANDLE_VALUE) return names;
  do {
    std::string name = narrow(entry.cFileName);
    // The pattern also matches short names, and letters of either case.
    if (name.compare(0, prefix.size(), prefix) == 0) names.push_back(std::move(name));
  } while (::FindNextFileW(search, &entry));
  ::FindClose(search);
  return names;
}

Result lock_byte(int fd, uint64_t byte, LockKind kind) {
  OVERLAPPED at = {};
  at.Offset = static_cast<DWORD>(byte);
  at.OffsetHigh = static_cast<DWORD>(byte >> 32);
  const DWORD flags = LOCKFILE_FAIL_IMMEDIATELY | (kind == LockKind::exclusive ? LOCKFILE_EXCLUSIVE_LOCK : 0);
  return ::LockFileEx(handle_of(fd), flags, 0, 1, 0, &at) ? 0 : failure();
}

void unlock_byte(int fd, uint64_t byte) {
  OVERLAPPED at = {};
  at.Offset = static_cast<DWORD>(byte);
  at.OffsetHigh = static_cast<DWORD>(byte >> 32);
  ::UnlockFileEx(handle_of(fd), 0, 1, 0, &at);
}

bool byte_is_held(int fd, uint64_t byte) {
  // There is no asking. A shared lock, so that two who ask do not take each other for the holder.
  if (lock_byte(fd, byte, LockKind::shared) != 0) return true;
  unlock_byte(fd, byte);
  return false;
}

uint64_t now_ns() {
  LARGE_INTEGER frequency, count;
  ::QueryPerformanceFrequency(&frequency);
  ::QueryPerformanceCounter(&count);
  const uint64_t f = static_cast<uint64_t>(frequency.QuadPart), c = static_cast<uint64_t>(count.QuadPart);
  return c / f * 1000000000u + c % f * 1000000000u / f;
}

void sleep_ns(uint64_t ns) { ::Sleep(static_cast<DWORD>((ns + 999999) / 1000000)); }

void yield_processor() { ::SwitchToThread(); }

bool is_switched_on(const char* variable) {
  // Not getenv, which knows what there was when the process began.
  char said[4];
  return ::GetEnvironmentVariableA(variable, said, sizeof said) == 1 && said[0] == '1';
}

uint64_t random_64() {
  uint64_t value = 0;
  if (!::RtlGenRandom(&value, sizeof value)) value = now_ns() * 0x9e3779b97f4a7c15u;
  return value;
}

#ifdef ISTHMUS_FAULT_POINTS
void end_process(bool stop_only) {
  // Of a process that has one thread, as those of the tests have.
  if (stop_only) ::SuspendThread(::GetCurrentThread());
  else ::TerminateProcess(::GetCurrentProcess(), 1);
}
#endif

}  // namespace isthmus::platform

#endif
