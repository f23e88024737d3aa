// SPDX-License-Identifier: Apache-2.0
// What leaves on the uplink: names that the node's SNAT gives, and clients on the node itself (bpf/to_net.h).
#include <gtest/gtest.h>

#include <chrono>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

TEST_P(HandshakeFamilyTest, SnatAliasIsTheSameAttempt) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToNet, "eth0", PacketBuilder().from(a().node, 50000).to(a().lb, 443).tcp(kSyn, kIsn));
  see(Hook::kFromNet, "eth0", returned(a().node, a().p2, 8443, 50000));
  EXPECT_EQ(counters(a().lb).syns, 1);
  sweep_after(std::chrono::seconds(4));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.client, (Endpoint{ip(a().p1), 40000})) << "the pod, not the address it hides behind";
  EXPECT_EQ(seen[0].attempt.returned, (Endpoint{ip(a().p2), 8443}));
}

TEST_P(HandshakeFamilyTest, HostClient) {
  const auto host_syn = [&](std::uint16_t port) {
    return PacketBuilder().from(a().node, port).to(a().lb, 443).tcp(kSyn, kIsn);
  };
  see(Hook::kToNet, "eth0", host_syn(50001));
  see(Hook::kToNet, "eth0", host_syn(50001));
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1);
  see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().node, 50001));
  EXPECT_EQ(counters(a().lb).answered, 1);

  see(Hook::kToNet, "eth0", host_syn(50002));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().node, 50002));
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], 1);

  see(Hook::kToNet, "eth0", PacketBuilder().from(a().elsewhere, 50003).to(a().lb, 443).tcp(kSyn, kIsn));
  EXPECT_EQ(counters(a().lb).syns, 2) << "forwarded for somebody else";
}

}  // namespace
}  // namespace hairpind::testing
