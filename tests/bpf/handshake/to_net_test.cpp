// SPDX-License-Identifier: Apache-2.0
// What leaves on the uplink: names that the node's SNAT gives, and clients on the node itself (bpf/to_net.h).
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

class ToNetTest : public HandshakeFamilyTest {
 protected:
  // Leaves by `device` what the node has received by `from`.
  void forward(const std::string& device, const PacketBuilder& packet, const std::string& from) const {
    const RunResult result =
        run_program(kernel->programs->fd(Hook::kToNet), packet.build(), ifindex_of(device), 1, ifindex_of(from));
    EXPECT_EQ(result.verdict, -1);
    EXPECT_TRUE(result.unchanged);
  }
};
INSTANTIATE_TEST_SUITE_P(Families, ToNetTest, ::testing::Values(&kV4, &kV6), family_name);

TEST_P(ToNetTest, SnatAliasIsTheSameAttempt) {
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

TEST_P(ToNetTest, HostClient) {
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

  forward("eth0", PacketBuilder().from(a().elsewhere, 50003).to(a().lb, 443).tcp(kSyn, kIsn), "eth0");
  EXPECT_EQ(counters(a().lb).syns, 2) << "forwarded for somebody else";
}

TEST_P(ToNetTest, ASynThatIsSentAgainWhileItsAnswerComesInIsNoNewOne) {
  const PacketBuilder host_syn = PacketBuilder().from(a().node, 50001).to(a().lb, 443).tcp(kSyn, kIsn);
  for ([[maybe_unused]] const int time : {1, 2}) {
    see(Hook::kToNet, "eth0", host_syn);
    see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().node, 50001));
  }
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1);
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(sweep_after(std::chrono::minutes(1)), 0);
  see(Hook::kToNet, "eth0", host_syn);
  EXPECT_EQ(counters(a().lb).syns, 2) << "long after";
}

// --- one packet, two uplinks' devices: a card, and a bridge, bond, VLAN or switch port above it -------------------

// Any other device will do: the second one's program is run as if it were on it.
constexpr const char* kAbove = "cni0";

TEST_P(ToNetTest, APacketThatPassesTwoUplinksCountsOnce) {
  const PacketBuilder host_syn = PacketBuilder().from(a().node, 50001).to(a().lb, 443).tcp(kSyn, kIsn);
  for (const char* const device : {kAbove, "eth0"}) {
    see(Hook::kToNet, device, host_syn);
  }
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 0) << "it is the same one";
  for (const char* const device : {kAbove, "eth0"}) {
    see(Hook::kToNet, device, host_syn);
  }
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1) << "one was sent again";
  for (const char* const device : {"eth0", kAbove}) {
    see(Hook::kFromNet, device, synack(a().lb, 443, a().node, 50001));
  }
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(sweep_after(std::chrono::milliseconds(1)), 0);
}

TEST_P(ToNetTest, AReturnedSynThatPassesTwoUplinksComesBackOnce) {
  see(Hook::kFromPod, "pod1", syn(a()));
  for (const char* const device : {kAbove, "eth0"}) {
    forward(device, syn(a()), "pod1");
  }
  for (const char* const device : {"eth0", kAbove}) {
    see(Hook::kFromNet, device, returned(a().p1, a().p2, 8443));
  }
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_HAIRPIN_IP_TARGET], 1);
  EXPECT_EQ(events().size(), 1);
}

// Open vSwitch between its internal port and the card: what it translates on the way out it translates back.
TEST_P(ToNetTest, WhatASwitchBetweenTwoUplinksTranslatesIsNoMismatch) {
  see(Hook::kToNet, kAbove, PacketBuilder().from(a().node, 50001).to(a().lb, 443).tcp(kSyn, kIsn));
  see(Hook::kToNet, "eth0", PacketBuilder().from(a().node, 50001).to(a().elsewhere, 8443).tcp(kSyn, kIsn));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().node, 50001));
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "it is not yet what the node gets";
  see(Hook::kFromNet, kAbove, synack(a().lb, 443, a().node, 50001));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0);

  // Nobody translates it back.
  see(Hook::kToNet, kAbove, PacketBuilder().from(a().node, 50002).to(a().lb, 443).tcp(kSyn, kIsn));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().node, 50002));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], 1);
}

TEST_P(ToNetTest, ANameThatASwitchBetweenTwoUplinksGivesIsAnAlias) {
  see(Hook::kToNet, kAbove, PacketBuilder().from(a().node, 50001).to(a().lb, 443).tcp(kSyn, kIsn));
  see(Hook::kToNet, "eth0", PacketBuilder().from(a().node, 50009).to(a().lb, 443).tcp(kSyn, kIsn));
  EXPECT_EQ(counters(a().lb).syns, 1);
  see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().node, 50009));
  EXPECT_EQ(counters(a().lb).answered, 1);
}

// --- pods that have no device here: macvlan, ipvlan, a switch's own ports -----------------------------------------

// ELSEWHERE's address and one beside it are theirs here.
const char* neighbour(const Addresses& a) {
  return &a == &kV4 ? "10.0.9.10" : "fd00:9::10";
}

PacketBuilder without_device(const Addresses& a, std::uint16_t port = 40000) {
  return PacketBuilder().from(a.elsewhere, port).to(a.lb, 443).tcp(kSyn, kIsn);
}

TEST_P(ToNetTest, APodWithoutADeviceIsAClientByItsAddress) {
  for (int sent = 0; sent < 2; sent++) {
    see(Hook::kToNet, "eth0", without_device(a()));
  }
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1);
  see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().elsewhere));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(sweep_after(std::chrono::seconds(4)), 0);

  // Its neighbour on the same card is the target: the answer passes no device.
  see(Hook::kToNet, "eth0", without_device(a(), 40001));
  see(Hook::kFromNet, "eth0", returned(a().elsewhere, neighbour(a()), 8443, 40001));
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "it may still come back another way";
  sweep_after(std::chrono::seconds(4));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.client, (Endpoint{ip(a().elsewhere), 40001}));
  EXPECT_FALSE(seen[0].attempt.host_client);
}

// macvlan gives the card what goes from one of its devices to another, too.
TEST_P(ToNetTest, ANeighbourOnTheSameCardIsOnThisNode) {
  see(Hook::kToNet, "eth0", without_device(a()));
  see(Hook::kFromNet, "eth0", returned(a().elsewhere, neighbour(a()), 8443));
  see(Hook::kFromNet, "eth0", synack(neighbour(a()), 8443, a().elsewhere));
  // That the node itself has sent on is for another node.
  see(Hook::kToNet, "eth0", without_device(a(), 40001));
  see(Hook::kFromNet, "eth0", returned(a().elsewhere, neighbour(a()), 8443, 40001));
  forward("eth0", returned(a().elsewhere, neighbour(a()), 8443, 40001), "eth0");
  see(Hook::kFromNet, "eth0", synack(neighbour(a()), 8443, a().elsewhere, 40001));
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_HAIRPIN_IP_TARGET], 1);
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], 1);
}

TEST_P(ToNetTest, WhatATargetWithoutADeviceAnswersByWayOfTheNetwork) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().elsewhere, 8443));
  see(Hook::kToNet, "eth0", synack(a().elsewhere, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "the load balancer may still restore its source";
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kLocalPod) << "it was seen to leave this node";
}

TEST_P(ToNetTest, AWrongAnswerToAPodWithoutADeviceFromOutsideIsAnothersNodes) {
  see(Hook::kToNet, "eth0", without_device(a()));
  see(Hook::kFromNet, "eth0", synack(neighbour(a()), 8443, a().elsewhere));
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], 1);
}

TEST_P(ToNetTest, NobodySpeaksForAPodThatHasADevice) {
  see(Hook::kToNet, "eth0", syn(a()));
  EXPECT_EQ(counters(a().lb).syns, 0) << "P1's SYNs come by its device";
  see(Hook::kFromPod, "pod2", syn(a()));
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1);
  forward("eth0", syn(a()), "pod2");
  forward("eth0", without_device(a()), "pod2");
  EXPECT_EQ(counters(a().lb).syns, 0) << "what has come by a pod's device was for from_pod to judge";

  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().elsewhere, 8443));
  see(Hook::kToNet, "eth0", synack(a().p2, 8443, a().p1));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "P2 has not answered: that was not by its device";
}

}  // namespace
}  // namespace hairpind::testing
