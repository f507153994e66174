// Where the functions of Node-API come from on Windows. The addon asks for them in "node.exe"; in a program
// that carries Node under another name (Electron, a single executable) they are in that program itself. So
// they are loaded late, and this says where from.
#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// After windows.h, which it needs.
#include <delayimp.h>

#include <cstring>

static FARPROC WINAPI from_this_program(unsigned event, DelayLoadInfo* info) {
  if (event != dliNotePreLoadLibrary || std::strcmp(info->szDll, "node.exe") != 0) return nullptr;
  return reinterpret_cast<FARPROC>(::GetModuleHandleW(nullptr));
}

extern "C" {
PfnDliHook __pfnDliNotifyHook2 = from_this_program;
}

#endif
