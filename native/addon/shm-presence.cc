// Waiting and waking, who is there, and what channels there are.
#include "../ring/memory.h"
#include "shm-handle.h"

#include <cerrno>
#include <string>

namespace isthmus::shm {

static Wait wait_of(int32_t what) { return what == 0 ? Wait::data : what == 1 ? Wait::space : Wait::presence; }

static napi_value truth(napi_env env, bool value) { return integer(env, value ? 1 : 0); }

napi_value ready(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return truth(env, handle && handle->channel.ready(wait_of(args.int32(1))));
}

napi_value spin(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return truth(env, handle && handle->channel.spin(wait_of(args.int32(1)), static_cast<uint64_t>(args.int32(2)) * 1000));
}

napi_value wait(napi_env env, napi_callback_info info) {
  Arguments<3> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return truth(env, handle && handle->channel.wait(wait_of(args.int32(1)), static_cast<uint64_t>(args.int32(2)) * 1000000));
}

napi_value arm(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return truth(env, handle && handle->channel.arm(wait_of(args.int32(1))));
}

napi_value disarm(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  if (Handle* handle = handle_of(env, args.at[0])) handle->channel.disarm(wait_of(args.int32(1)));
  return nullptr;
}

napi_value count(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return integer(env, handle ? static_cast<int32_t>(handle->channel.count(static_cast<uint32_t>(args.int32(1)))) : -EBADF);
}

napi_value left(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return number(env, handle ? handle->channel.left(static_cast<uint32_t>(args.int32(1))) : 0);
}

napi_value evict_dead(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return integer(env, handle ? handle->channel.evict_dead() : -EBADF);
}

napi_value rejoin(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  return integer(env, handle ? handle->channel.rejoin() : -EBADF);
}

// tidy(): called now and then
napi_value tidy(napi_env, napi_callback_info) {
  trim_memory();
  return nullptr;
}

napi_value publish(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  if (Handle* handle = handle_of(env, args.at[0])) handle->channel.publish_cursor();
  return nullptr;
}

static void set(napi_env env, napi_value object, const char* key, double value) {
  napi_set_named_property(env, object, key, number(env, value));
}

static void set(napi_env env, napi_value object, const char* key, const std::string& value) {
  napi_value text;
  napi_create_string_utf8(env, value.data(), value.size(), &text);
  napi_set_named_property(env, object, key, text);
}

napi_value peers(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  napi_value list;
  napi_create_array(env, &list);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return list;
  uint32_t index = 0;
  for (const PeerInfo& peer : handle->channel.peers()) {
    napi_value entry;
    napi_create_object(env, &entry);
    set(env, entry, "slot", peer.slot);
    set(env, entry, "generation", peer.generation);
    set(env, entry, "pid", peer.pid);
    set(env, entry, "role", peer.role);
    set(env, entry, "state", peer.state);
    set(env, entry, "lagBytes", static_cast<double>(peer.lag_bytes));
    set(env, entry, "joinedAt", static_cast<double>(peer.joined_ms));
    set(env, entry, "name", peer.name);
    napi_set_element(env, list, index++, entry);
  }
  return list;
}

napi_value info_of(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Handle* handle = handle_of(env, args.at[0]);
  if (!handle) return integer(env, -EBADF);
  const Channel& channel = handle->channel;
  const Constants& c = channel.constants();
  napi_value object;
  napi_create_object(env, &object);
  set(env, object, "slot", channel.slot());
  set(env, object, "type", c.type);
  set(env, object, "policy", c.policy);
  set(env, object, "capacity", static_cast<double>(c.capacity));
  set(env, object, "fileBytes", static_cast<double>(c.file_bytes));
  set(env, object, "evictMs", c.evict_ms);
  set(env, object, "history", c.history);
  set(env, object, "latest", c.latest);
  set(env, object, "layoutVersion", c.version);
  set(env, object, "createdAt", static_cast<double>(c.created_ms));
  set(env, object, "inlineLimit", static_cast<double>(channel.inline_limit()));
  set(env, object, "wholeLimit", static_cast<double>(channel.whole_limit()));
  set(env, object, "position", static_cast<double>(channel.head()));
  set(env, object, "nextSequence", static_cast<double>(channel.next_sequence()));
  return object;
}

napi_value list(napi_env env, napi_callback_info info) {
  napi_value result;
  napi_create_array(env, &result);
  uint32_t index = 0;
  for (const RegionEntry& region : list_regions()) {
    napi_value entry;
    napi_create_object(env, &entry);
    set(env, entry, "name", region.name);
    set(env, entry, "group", region.group ? 1 : 0);
    napi_set_element(env, result, index++, entry);
  }
  return result;
}

// path(name, group) -> where the file of such a channel lies
napi_value path(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  const std::string where = region_path(args.text(0), args.boolean(1));
  napi_value text;
  napi_create_string_utf8(env, where.data(), where.size(), &text);
  return text;
}

napi_value clear(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  return integer(env, clear_region(args.text(0), args.boolean(1)));
}

}  // namespace isthmus::shm
