// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/cilium_conntrack.hpp"

#include <bpf/bpf.h>

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
      tables_{PinnedMap({.name = "cilium_ct4_global",
                         .key_size = 14,
                         .value_size = sizeof(CiliumEntry),
                         .what = "Cilium's conntrack"}),
              PinnedMap({.name = "cilium_ct6_global",
                         .key_size = 38,
                         .value_size = sizeof(CiliumEntry),
                         .what = "Cilium's conntrack"})} {}

PinChanges CiliumConntrack::refresh() {
  PinChanges changes;
  for (PinnedMap& table : tables_) {
    table.refresh(roots_, changes);
  }
  return changes;
}

bool CiliumConntrack::covers(const IpAddress& client) const {
  return table_of(client).present();
}

bool CiliumConntrack::present() const {
  return std::ranges::any_of(tables_, &PinnedMap::present);
}

bool CiliumConntrack::readable() const {
  return std::ranges::any_of(tables_, &PinnedMap::readable);
}

Result<Conntrack> CiliumConntrack::lookup(const ConntrackQuery& query) const {
  const PinnedMap& table = table_of(query.client.address);
  if (!table.readable()) {
    return Conntrack::kUnchecked;
  }
  CiliumEntry entry{};
  const auto find = [&](const Endpoint& server, CiliumDirection direction) {
    const auto key = cilium_key(query.client, server, direction);
    return key.size() == table.shape().key_size ? bpf_map_lookup_elem(table.fd(), key.data(), entry.data()) : -ENOENT;
  };
  const auto failed = [&](int error) { return fail_errno("read the BPF map " + table.path(), error); };

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
