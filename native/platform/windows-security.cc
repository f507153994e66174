// Who we are to Windows, and who else may open what is ours.
#ifdef _WIN32

#include "windows-layer.h"

// After windows.h, which it needs.
#include <aclapi.h>

namespace isthmus::platform {

const Security& Security::mine() {
  static const Security security;
  return security;
}

Security::Security() {
  HANDLE token = nullptr;
  DWORD bytes = 0;
  if (!::OpenProcessToken(::GetCurrentProcess(), TOKEN_QUERY, &token)) return;
  ::GetTokenInformation(token, TokenUser, nullptr, 0, &bytes);
  user_ = std::make_unique<uint8_t[]>(bytes);
  const bool known = ::GetTokenInformation(token, TokenUser, user_.get(), bytes, &bytes);
  ::CloseHandle(token);
  if (!known) return;
  PSID sid = reinterpret_cast<TOKEN_USER*>(user_.get())->User.Sid;
  const DWORD acl_bytes = sizeof(ACL) + sizeof(ACCESS_ALLOWED_ACE) + ::GetLengthSid(sid);
  acl_ = std::make_unique<uint8_t[]>(acl_bytes);
  PACL acl = reinterpret_cast<PACL>(acl_.get());
  // Protected: nothing that the folder above grants is inherited; what others make in ours inherits this.
  const DWORD inherited = OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE;
  if (!::InitializeAcl(acl, acl_bytes, ACL_REVISION) || !::AddAccessAllowedAceEx(acl, ACL_REVISION, inherited, GENERIC_ALL, sid) ||
      !::InitializeSecurityDescriptor(&descriptor_, SECURITY_DESCRIPTOR_REVISION) ||
      !::SetSecurityDescriptorOwner(&descriptor_, sid, FALSE) || !::SetSecurityDescriptorDacl(&descriptor_, TRUE, acl, FALSE) ||
      !::SetSecurityDescriptorControl(&descriptor_, SE_DACL_PROTECTED, SE_DACL_PROTECTED)) {
    return;
  }
  attributes_ = {sizeof attributes_, &descriptor_, FALSE};
  sid_ = sid;
}

bool Security::is_private(HANDLE file) const {
  PSID owner = nullptr;
  PACL acl = nullptr;
  PSECURITY_DESCRIPTOR descriptor = nullptr;
  const DWORD wanted = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
  if (::GetSecurityInfo(file, SE_FILE_OBJECT, wanted, &owner, nullptr, &acl, nullptr, &descriptor) != ERROR_SUCCESS) return false;
  bool ours = sid_ && owner && acl && ::EqualSid(owner, sid_);
  for (DWORD i = 0; ours && i < acl->AceCount; i++) {
    void* entry = nullptr;
    ours = ::GetAce(acl, i, &entry) && is_harmless(static_cast<ACE_HEADER*>(entry));
  }
  ::LocalFree(descriptor);
  return ours;
}

bool Security::is_harmless(const ACE_HEADER* entry) const {
  if (entry->AceType == ACCESS_DENIED_ACE_TYPE) return true;
  if (entry->AceType != ACCESS_ALLOWED_ACE_TYPE) return false;
  const ACCESS_ALLOWED_ACE* allowed = reinterpret_cast<const ACCESS_ALLOWED_ACE*>(entry);
  PSID sid = const_cast<DWORD*>(&allowed->SidStart);
  return allowed->Mask == 0 || ::EqualSid(sid, sid_) || ::IsWellKnownSid(sid, WinLocalSystemSid) ||
         ::IsWellKnownSid(sid, WinBuiltinAdministratorsSid);
}

}  // namespace isthmus::platform

#endif
