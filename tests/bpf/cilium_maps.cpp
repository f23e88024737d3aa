// SPDX-License-Identifier: Apache-2.0
#include "cilium_maps.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "hairpind/net/cilium_endpoints.hpp"

namespace hairpind::testing {
namespace {

constexpr std::uint8_t kTupleOut = 0;
constexpr std::uint8_t kTupleIn = 1;
constexpr std::uint8_t kTupleService = 4;

// cilium 1.16, bpf/lib/common.h. Network order; "address fields are reversed, i.e. these field names are correct for
// reply direction traffic" in entries that are not of a service.
template <std::size_t AddressSize>
struct [[gnu::packed]] CtTuple {
  std::uint8_t daddr[AddressSize];
  std::uint8_t saddr[AddressSize];
  std::uint16_t dport;
  std::uint16_t sport;
  std::uint8_t nexthdr;
  std::uint8_t flags;
};
using Ipv4CtTuple = CtTuple<4>;
using Ipv6CtTuple = CtTuple<16>;
static_assert(sizeof(Ipv4CtTuple) == 14);
static_assert(sizeof(Ipv6CtTuple) == 38);

struct CtEntry {
  std::uint64_t reserved0;
  std::uint64_t backend_id;
  std::uint64_t packets;
  std::uint64_t bytes;
  std::uint32_t lifetime;
  std::uint16_t rx_closing : 1, tx_closing : 1, reserved1 : 1, lb_loopback : 1, seen_non_syn : 1, node_port : 1,
      proxy_redirect : 1, dsr_internal : 1, from_l7lb : 1, reserved2 : 1, from_tunnel : 1, reserved3 : 5;
  std::uint16_t rev_nat_index;
  std::uint16_t reserved4;
  std::uint8_t tx_flags_seen;
  std::uint8_t rx_flags_seen;
  std::uint32_t src_sec_id;
  std::uint32_t last_tx_report;
  std::uint32_t last_rx_report;
};
static_assert(sizeof(CtEntry) == 56);

constexpr std::uint16_t kSomeService = 7;
constexpr std::uint64_t kSomeBackend = 124;

}  // namespace

BpfFilesystem::BpfFilesystem() {
  std::string directory = "/tmp/hairpind-bpffs-XXXXXX";
  root_ = mkdtemp(directory.data());
  if (mount("bpffs", root_.c_str(), "bpf", 0, nullptr) != 0) {
    unavailable_ = std::string("cannot mount a bpffs: ") + std::strerror(errno);
    return;
  }
  EXPECT_EQ(mkdir((root_ + "/tc").c_str(), 0700), 0);
  EXPECT_EQ(mkdir((root_ + "/tc/globals").c_str(), 0700), 0);
}

BpfFilesystem::~BpfFilesystem() {
  if (unavailable_.empty()) {
    umount2(root_.c_str(), MNT_DETACH);
  }
  rmdir(root_.c_str());
}

std::string BpfFilesystem::pin(bool v4) const {
  return root_ + "/tc/globals/" + (v4 ? "cilium_ct4_global" : "cilium_ct6_global");
}

void BpfFilesystem::unpin(bool v4) const {
  EXPECT_EQ(unlink(pin(v4).c_str()), 0);
}

CiliumMap::CiliumMap(bool v4) : CiliumMap(v4, sizeof(CtEntry)) {}

CiliumMap CiliumMap::with_value_size(bool v4, std::uint32_t bytes) {
  return {v4, bytes};
}

CiliumMap::CiliumMap(bool v4, std::uint32_t value_size)
    : v4_(v4),
      map_(bpf_map_create(BPF_MAP_TYPE_LRU_HASH, v4 ? "cilium_ct4_glob" : "cilium_ct6_glob",
                          v4 ? sizeof(Ipv4CtTuple) : sizeof(Ipv6CtTuple), value_size, 1024, nullptr)) {
  EXPECT_GE(map_.get(), 0) << std::strerror(errno);
}

void CiliumMap::pin(const BpfFilesystem& filesystem) const {
  EXPECT_EQ(bpf_obj_pin(map_.get(), filesystem.pin(v4_).c_str()), 0) << std::strerror(errno);
}

void CiliumMap::add_out(const Endpoint& client, const Endpoint& server, const CiliumEntryFields& fields) const {
  add(client, server, server.port, client.port, kTupleOut, fields);
}

void CiliumMap::add_in(const Endpoint& client, const Endpoint& server) const {
  add(client, server, server.port, client.port, kTupleIn, {});
}

void CiliumMap::add_service(const Endpoint& client, const Endpoint& frontend, const CiliumEntryFields& fields) const {
  add(frontend, client, client.port, frontend.port, kTupleService, fields);
}

void CiliumMap::add_balanced(const Endpoint& client, const Endpoint& frontend, const Endpoint& backend) const {
  add_service(client, frontend, {.rev_nat_index = kSomeService, .backend_id = kSomeBackend});
  add_out(client, backend, {.rev_nat_index = kSomeService});
  add_in(client, backend);
}

void CiliumMap::add_hairpin(const Endpoint& client, const Endpoint& load_balancer, const Endpoint& target) const {
  add_out(client, load_balancer);
  add_in(client, target);
}

void CiliumMap::add_node_port_hairpin(const Endpoint& client, const Endpoint& load_balancer, const Endpoint& node_port,
                                      const Endpoint& target) const {
  add_hairpin(client, load_balancer, target);
  add_service(client, node_port, {.rev_nat_index = kSomeService, .backend_id = kSomeBackend});
  add_out(client, target, {.node_port = true, .rev_nat_index = kSomeService});
}

void CiliumMap::add(const Endpoint& daddr, const Endpoint& saddr, std::uint16_t dport, std::uint16_t sport,
                    std::uint8_t flags, const CiliumEntryFields& fields) const {
  CtEntry entry{};
  entry.backend_id = fields.backend_id;
  entry.packets = 1;
  entry.lifetime = 4000;
  entry.node_port = fields.node_port;
  entry.rev_nat_index = htons(fields.rev_nat_index);
  entry.tx_flags_seen = 2;
  const auto fill = [&](auto key) {
    constexpr std::size_t kAddressSize = sizeof(key.daddr);
    std::memcpy(key.daddr, daddr.address.bytes.data() + 16 - kAddressSize, kAddressSize);
    std::memcpy(key.saddr, saddr.address.bytes.data() + 16 - kAddressSize, kAddressSize);
    key.dport = htons(dport);
    key.sport = htons(sport);
    key.nexthdr = IPPROTO_TCP;
    key.flags = flags;
    EXPECT_EQ(bpf_map_update_elem(map_.get(), &key, &entry, BPF_ANY), 0) << std::strerror(errno);
  };
  if (v4_) {
    fill(Ipv4CtTuple{});
  } else {
    fill(Ipv6CtTuple{});
  }
}

CiliumEndpointMap::CiliumEndpointMap()
    : map_(bpf_map_create(BPF_MAP_TYPE_HASH, "cilium_lxc", kCiliumEndpointKey, kCiliumEndpointInfo, 64, nullptr)) {
  EXPECT_GE(map_.get(), 0) << std::strerror(errno);
}

void CiliumEndpointMap::add(const IpAddress& address, std::uint32_t ifindex) const {
  std::array<std::byte, kCiliumEndpointKey> key{};
  std::array<std::byte, kCiliumEndpointInfo> value{};
  const std::size_t skip = address.is_v4() ? 12 : 0;
  std::memcpy(key.data(), address.bytes.data() + skip, 16 - skip);
  key[16] = address.is_v4() ? std::byte{1} : std::byte{2};
  std::memcpy(value.data(), &ifindex, sizeof(ifindex));
  EXPECT_EQ(bpf_map_update_elem(map_.get(), key.data(), value.data(), BPF_ANY), 0) << std::strerror(errno);
}

void CiliumEndpointMap::pin(const BpfFilesystem& filesystem) const {
  EXPECT_EQ(bpf_obj_pin(map_.get(), (filesystem.root() + "/tc/globals/cilium_lxc").c_str()), 0) << std::strerror(errno);
}

}  // namespace hairpind::testing
