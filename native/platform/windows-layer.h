// What the files of the Windows layer share.
#pragma once

#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#define WIN32_LEAN_AND_MEAN
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>

#include <memory>
#include <string>

#include "platform.h"

namespace isthmus::platform {

inline HANDLE handle_of(int fd) { return reinterpret_cast<HANDLE>(static_cast<intptr_t>(fd)); }
inline int number_of(HANDLE handle) { return static_cast<int>(reinterpret_cast<intptr_t>(handle)); }

/** The negative errno of what the system said. */
Result failure(DWORD error = ::GetLastError());
/** As the system wants it, unchanged by it: neither cut at 260 letters nor rid of a dot at the end. */
std::wstring wide(const std::string& path);

/** The user that this process runs as, and what lets nobody else in. */
class Security {
 public:
  static const Security& mine();
  /** For what is created; null when the user cannot be told. */
  SECURITY_ATTRIBUTES* attributes() const { return sid_ ? const_cast<SECURITY_ATTRIBUTES*>(&attributes_) : nullptr; }
  /** Owned by the user, and nobody else may open it: but for the system and its administrators, who may all. */
  bool is_private(HANDLE file) const;

 private:
  Security();
  bool is_harmless(const ACE_HEADER* entry) const;

  std::unique_ptr<uint8_t[]> user_, acl_;
  SECURITY_DESCRIPTOR descriptor_ = {};
  SECURITY_ATTRIBUTES attributes_ = {};
  PSID sid_ = nullptr;
};

// windows-waking.cc: what is mapped where, so that a word's address leads to the semaphores of its region.
void remember_mapping(const Mapping& mapping);
void forget_mapping(const Mapping& mapping);

}  // namespace isthmus::platform
