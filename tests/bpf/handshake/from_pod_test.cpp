// SPDX-License-Identifier: Apache-2.0
// What a pod sends: SYNs and their retransmits, the client's ACK and RST, forged sources (bpf/from_pod.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

TEST_P(HandshakeFamilyTest, RetransmitsAddNothing) {
  for (int i = 0; i < 5; i++) {
    hairpin_ip_target(a());
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  }
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 4);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
  const auto incidents = counts->read_incidents();
  ASSERT_TRUE(incidents);
  ASSERT_EQ(incidents->size(), 1);
  EXPECT_EQ(incidents->front().count, 1);
}

TEST_P(HandshakeFamilyTest, RetransmitsAreKnownAmongAttemptsWithTheSameLowIsnBits) {
  // The index by the low bits has room for two of them (maps.h).
  for (std::uint16_t i = 0; i < 3; i++) {
    see(Hook::kFromPod, "pod1", syn(a(), static_cast<std::uint16_t>(40000 + i), kIsn + i * 16384U));
  }
  see(Hook::kFromPod, "pod1", syn(a(), 40000, kIsn));
  EXPECT_EQ(counters(a().lb).syns, 3);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1);
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  EXPECT_EQ(counters(a().lb).answered, 1);
}

TEST_P(HandshakeFamilyTest, NewIsnOnTheSamePortIsANewAttempt) {
  hairpin_ip_target(a(), 40000, kIsn);
  hairpin_ip_target(a(), 40000, kIsn + 1000);
  EXPECT_EQ(counters(a().lb).syns, 2);
  EXPECT_EQ(counters(a().lb).mismatched, 2);
  EXPECT_EQ(counts->read_incidents()->front().count, 2) << "one pair, one incident";
}

TEST_P(HandshakeFamilyTest, ClientResetIsConclusiveWhereDeliveryIsNotSeen) {
  // bpf_redirect_peer skips to_pod.
  hairpin_suspected(a());
  EXPECT_THAT(events(), ::testing::IsEmpty()) << "a SYN-ACK leaving the pod is only suspicion";
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.outcome, Outcome::kResetByClient);
}

TEST_P(HandshakeFamilyTest, AResetToAResponderThatNoHookHasSeenProvesNothing) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "a pod may send RST to anybody";
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).unanswered, 1);
}

TEST_P(HandshakeFamilyTest, ARetransmitIsFoundAgainBehindNewerAttempts) {
  see(Hook::kFromPod, "pod1", syn(a()));
  // Their ISNs take its place among the tags (bpf/isn_tags.h), which are told apart by the low bits.
  for (std::uint16_t newer = 1; newer <= 8; newer++) {
    see(Hook::kFromPod, "pod1", syn(a(), static_cast<std::uint16_t>(40000 + newer), kIsn + newer * 1024U));
  }
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, kIsn + 1, 8));
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1);
  EXPECT_EQ(counters(a().lb).answered, 1);
}

TEST_P(HandshakeFamilyTest, TheClientsAckSaysThatTheLoadBalancerAnswered) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));  // translated back and redirected: no hook sees it
  const auto ack = [&](const char* to, std::uint32_t sequence) {
    return PacketBuilder().from(a().p1, 40000).to(to, 443).tcp(kAck, sequence, 8);
  };
  see(Hook::kFromPod, "pod1", ack(a().other_lb, kIsn + 1));
  see(Hook::kFromPod, "pod1", ack(a().lb, kIsn + 2));
  see(Hook::kFromPod, "pod2", ack(a().lb, kIsn + 1));
  EXPECT_EQ(counters(a().lb).answered, 0) << "another load balancer, another sequence number, another pod's device";
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1);
  see(Hook::kFromPod, "pod1", ack(a().lb, kIsn + 1));
  see(Hook::kFromPod, "pod1", ack(a().lb, kIsn + 1).payload(100));
  EXPECT_EQ(counters(a().lb).answered, 1);
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

// Both tables that find an attempt by its ISN alone go by its low bits.
TEST_P(HandshakeFamilyTest, TwoPendingAttemptsMayShareTheLowBitsOfTheirIsns) {
  constexpr std::uint32_t kOther = kIsn + (1U << 24U);
  for (const std::uint32_t isn : {kIsn, kOther}) {
    see(Hook::kFromPod, "pod1", syn(a(), 40000, isn));
    see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443, 40000, isn));
  }
  for (const std::uint32_t isn : {kIsn, kOther}) {
    see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().node, 1024, isn));
  }
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_HAIRPIN_NODE_PORT], 1);
  for (const std::uint32_t isn : {kOther, kIsn}) {
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, isn + 1));
  }
  EXPECT_EQ(counters(a().lb).answered, 1) << "the other one; the first was decided";
  const auto seen = events();
  ASSERT_EQ(seen.size(), 2);
  EXPECT_EQ(seen[1].attempt.outcome, Outcome::kCompleted) << "the first one's ACK was seen, too";
}

TEST_P(HandshakeFamilyTest, TheClientsResetToTheLoadBalancerSaysThatItAnswered) {
  hairpin_suspected(a());
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kRst, kIsn + 1));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).answered, 1) << "the client gave up before the answer came";
  EXPECT_EQ(counters(a().lb).mismatched, 0);
}

TEST_P(HandshakeFamilyTest, ForgedSourceIsCountedNotRecorded) {
  see(Hook::kFromPod, "pod2", syn(a()));  // pod2 claims to be P1, which routes say is on pod1
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1);
  see(Hook::kFromPod, "pod2", PacketBuilder().from(a().node, 40000).to(a().lb, 443).tcp(kSyn, kIsn));
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 2) << "the node's own address";
  see(Hook::kFromPod, "pod2", PacketBuilder().from(a().elsewhere, 40000).to(a().lb, 443).tcp(kSyn, kIsn));
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 2) << "an address beyond the uplink: nobody's that the node knows";
  EXPECT_EQ(counters(a().lb).syns, 1) << "kept, and believed only of what comes back from there";
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
}

TEST_F(HandshakeTest, ForgedSourceOnABridgeIsKnownByItsMac) {
  const auto from_bridge = [](std::uint8_t mac, std::uint32_t isn) {
    return PacketBuilder().from("10.0.3.10", 40000).to(kV4.lb, 443).tcp(kSyn, isn).source_mac(mac);
  };
  see(Hook::kFromPod, "br1", from_bridge(0x11, 1));
  EXPECT_EQ(counters(kV4.lb).syns, 1);
  see(Hook::kFromPod, "br2", from_bridge(0x12, 2));
  EXPECT_EQ(counters(kV4.lb).syns, 1);
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1);
}

TEST_F(HandshakeTest, PodAddressMovesToANewDevice) {
  see(Hook::kFromPod, "pod1", syn(kV4, 40000, 1));
  ASSERT_EQ(std::system("ip route replace 10.0.1.10 dev pod2"), 0);
  see(Hook::kFromPod, "pod2", syn(kV4, 40001, 2));
  ASSERT_EQ(std::system("ip route replace 10.0.1.10 dev pod1"), 0);
  EXPECT_EQ(counters(kV4.lb).syns, 2);
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 0);
}

}  // namespace
}  // namespace hairpind::testing
