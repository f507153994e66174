// Memory for received messages. Fresh memory costs several times the copy that is made into it, since the
// system clears it page by page; so blocks that were given back are kept for a while and used again.
#pragma once

#include <cstddef>
#include <cstdint>

namespace isthmus {

/** Larger blocks are not kept. */
constexpr size_t kLargestKeptBytes = 16 << 20;

/** At least so many bytes, with whatever stood there before; null when there is no memory. Any thread. */
uint8_t* take_memory(size_t bytes);
/** `bytes` as it was asked for. Null is ignored. Any thread. */
void give_memory(uint8_t* block, size_t bytes);
/** Gives back to the system what nobody has needed for a second or two. Cheap enough to be called often. */
void trim_memory();

}  // namespace isthmus
