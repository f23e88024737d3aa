// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/cilium_conntrack.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace hairpind {
namespace {

using Bytes = std::vector<int>;

Bytes key(const char* client, std::uint16_t client_port, const char* server, std::uint16_t server_port,
          CiliumDirection direction) {
  Bytes bytes;
  for (const std::byte byte : cilium_key({IpAddress::parse(client).value(), client_port},
                                         {IpAddress::parse(server).value(), server_port}, direction)) {
    bytes.push_back(std::to_integer<int>(byte));
  }
  return bytes;
}

// struct ipv4_ct_tuple: daddr, saddr, dport, sport, nexthdr, flags; in network order.
TEST(CiliumKey, OutEntriesHaveTheirAddressesReversed) {
  EXPECT_EQ(key("10.0.1.10", 0x9c40, "10.0.1.20", 0x20fb, CiliumDirection::kOut),
            (Bytes{10, 0, 1, 10, 10, 0, 1, 20, 0x20, 0xfb, 0x9c, 0x40, 6, 0}));
}

// As in Cilium's own test of it (bpf/tests, tc_nodeport_lb4_fragments): saddr client, sport frontend's, daddr frontend,
// dport client's.
TEST(CiliumKey, ServiceEntriesHaveTheirPortsReversed) {
  EXPECT_EQ(key("10.0.1.10", 0x9c40, "10.0.5.5", 0x01bb, CiliumDirection::kService),
            (Bytes{10, 0, 5, 5, 10, 0, 1, 10, 0x9c, 0x40, 0x01, 0xbb, 6, 4}));
}

TEST(CiliumKey, OfIpv6IsTheSameWithSixteenBytes) {
  EXPECT_EQ(key("fd00:1::10", 0x9c40, "fd00:5::5", 0x01bb, CiliumDirection::kOut),
            (Bytes{0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0,    0x10, 0xfd, 0, 0,
                   5,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x01, 0xbb, 0x9c, 0x40, 6, 0}));
}

TEST(CiliumEntry, OnlyTheClientSidesOwnTranslationCounts) {
  struct Case {
    const char* description;
    int flags;  // the low byte of the bit field at 36
    int rev_nat_index;
    bool translation;
  };
  constexpr int kSeenNonSyn = 1 << 4;
  constexpr int kNodePort = 1 << 5;
  constexpr int kProxyRedirect = 1 << 6;
  const std::vector<Case> cases{
      {"for a service", 0, 0x0700, true},
      {"for a service, network order's other byte", 0, 0x0007, true},
      {"for a service, established", kSeenNonSyn, 0x0700, true},
      {"to the server itself", 0, 0, false},
      {"by the node port", kNodePort, 0x0700, false},
      {"by the node port, established", kNodePort | kSeenNonSyn, 0x0700, false},
      {"the bits beside node_port", kSeenNonSyn | kProxyRedirect, 0x0700, true},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.description);
    CiliumEntry entry{};
    // What is not asked about must not matter.
    entry.fill(std::byte{0xff});
    entry[36] = static_cast<std::byte>(test.flags);
    entry[37] = std::byte{0};
    entry[38] = static_cast<std::byte>(test.rev_nat_index >> 8);
    entry[39] = static_cast<std::byte>(test.rev_nat_index & 0xff);
    EXPECT_EQ(is_client_side_translation(entry), test.translation);
  }
}

}  // namespace
}  // namespace hairpind
