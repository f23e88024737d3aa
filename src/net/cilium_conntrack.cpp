// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/cilium_conntrack.hpp"

#include <bpf/bpf.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace hairpind {
namespace {

constexpr std::uint8_t kTcp = 6;
// Offsets in struct ct_entry (cilium, bpf/lib/common.h). The flags are a C bit field in 16 bits, which starts at the
// lowest bit on the little-endian machines that Cilium runs on.
constexpr std::size_t kEntryFlags = 36;
constexpr std::size_t kEntryRevNatIndex = 38;
constexpr std::uint16_t kNodePort = 1U << 5U;

std::uint16_t read_u16(const CiliumEntry& entry, std::size_t offset) {
  std::uint16_t value = 0;
  std::memcpy(&value, entry.data() + offset, sizeof(value));
  return value;
}

void append(std::vector<std::byte>& key, const IpAddress& address) {
  // IPv4 is stored IPv4-mapped.
  const auto bytes = std::as_bytes(std::span(address.bytes)).subspan(address.is_v4() ? 12 : 0);
  key.insert(key.end(), bytes.begin(), bytes.end());
}

void append(std::vector<std::byte>& key, std::uint16_t port) {
  key.push_back(static_cast<std::byte>(port >> 8U));
  key.push_back(static_cast<std::byte>(port & 0xffU));
}

// Nothing, or what is wrong with it.
std::string wrong_shape(int map, std::uint32_t key_size) {
  bpf_map_info info{};
  std::uint32_t length = sizeof(info);
  if (const int error = bpf_obj_get_info_by_fd(map, &info, &length); error != 0) {
    return fail_errno("ask the kernel about it", error).error().message;
  }
  if (info.type != BPF_MAP_TYPE_LRU_HASH && info.type != BPF_MAP_TYPE_HASH) {
    return "map type " + std::to_string(info.type) + ", expected a hash (" + std::to_string(BPF_MAP_TYPE_HASH) +
           ") or an LRU hash (" + std::to_string(BPF_MAP_TYPE_LRU_HASH) + ")";
  }
  if (info.key_size != key_size || info.value_size != sizeof(CiliumEntry)) {
    return "keys of " + std::to_string(info.key_size) + " and values of " + std::to_string(info.value_size) +
           " bytes, expected " + std::to_string(key_size) + " and " + std::to_string(sizeof(CiliumEntry));
  }
  return {};
}

}  // namespace

std::vector<std::byte> cilium_key(const Endpoint& client, const Endpoint& server, CiliumDirection direction) {
  const bool out = direction == CiliumDirection::kOut;
  std::vector<std::byte> key;
  append(key, out ? client.address : server.address);  // daddr
  append(key, out ? server.address : client.address);  // saddr
  append(key, out ? server.port : client.port);        // dport
  append(key, out ? client.port : server.port);        // sport
  key.push_back(std::byte{kTcp});
  key.push_back(static_cast<std::byte>(direction));
  return key;
}

bool is_client_side_translation(const CiliumEntry& out) {
  return (read_u16(out, kEntryFlags) & kNodePort) == 0 && read_u16(out, kEntryRevNatIndex) != 0;
}

CiliumConntrack::CiliumConntrack(std::vector<std::string> roots)
    : roots_(std::move(roots)),
      tables_{Table{.name = "cilium_ct4_global", .key_size = 14, .path = {}, .map = {}},
              Table{.name = "cilium_ct6_global", .key_size = 38, .path = {}, .map = {}}} {}

CiliumConntrack::Changes CiliumConntrack::refresh() {
  Changes changes;
  for (Table& table : tables_) {
    refresh(table, changes);
  }
  return changes;
}

void CiliumConntrack::refresh(Table& table, Changes& changes) const {
  std::string path;
  struct stat pin{};
  for (const std::string& root : roots_) {
    const std::string candidate = root + "/tc/globals/" + table.name;
    if (stat(candidate.c_str(), &pin) == 0) {
      path = candidate;
      break;
    }
  }
  if (path.empty()) {
    if (!table.path.empty()) {
      changes.gone.push_back(std::exchange(table.path, {}));
      table.map = {};
    }
    return;
  }
  // A pin is a file of its own: one that was made anew has another inode.
  if (path == table.path && pin.st_dev == table.device && pin.st_ino == table.inode) {
    return;
  }
  table.path = path;
  table.device = pin.st_dev;
  table.inode = pin.st_ino;
  table.map = {};
  struct bpf_obj_get_opts options{};
  options.sz = sizeof(options);
  options.file_flags = BPF_F_RDONLY;
  const int fd = bpf_obj_get_opts(path.c_str(), &options);
  if (fd < 0) {
    changes.refused.push_back(fail_errno("open the BPF map " + path, fd).error().message);
    return;
  }
  FileDescriptor map(fd);
  if (const std::string wrong = wrong_shape(map.get(), table.key_size); !wrong.empty()) {
    changes.refused.push_back("the BPF map " + path + " has not the shape of Cilium's conntrack: " + wrong);
    return;
  }
  table.map = std::move(map);
  changes.opened.push_back(path);
}

bool CiliumConntrack::covers(const IpAddress& client) const {
  return !table_of(client).path.empty();
}

bool CiliumConntrack::present() const {
  return std::ranges::any_of(tables_, [](const Table& table) { return !table.path.empty(); });
}

bool CiliumConntrack::readable() const {
  return std::ranges::any_of(tables_, [](const Table& table) { return table.map.get() >= 0; });
}

Result<Conntrack> CiliumConntrack::lookup(const ConntrackQuery& query) const {
  const Table& table = table_of(query.client.address);
  if (table.map.get() < 0) {
    return Conntrack::kUnchecked;
  }
  CiliumEntry entry{};
  const auto find = [&](const Endpoint& server, CiliumDirection direction) {
    const auto key = cilium_key(query.client, server, direction);
    return key.size() == table.key_size ? bpf_map_lookup_elem(table.map.get(), key.data(), entry.data()) : -ENOENT;
  };
  const auto failed = [&](int error) { return fail_errno("read the BPF map " + table.path, error); };

  const int responder = find(query.responder, CiliumDirection::kOut);
  if (responder == 0 && is_client_side_translation(entry)) {
    return Conntrack::kTranslated;
  }
  // Cilium balances this very connection.
  const int service = find(query.load_balancer, CiliumDirection::kService);
  if (service == 0) {
    return Conntrack::kTranslated;
  }
  // It left for the load balancer as it was.
  const int untranslated = find(query.load_balancer, CiliumDirection::kOut);
  for (const int error : {responder, service, untranslated}) {
    if (error != 0 && error != -ENOENT) {
      return failed(error);
    }
  }
  return responder == 0 || untranslated == 0 ? Conntrack::kNotTranslated : Conntrack::kNoEntry;
}

}  // namespace hairpind
