// SPDX-License-Identifier: Apache-2.0
// What each way of a handshake through a node is called (bpf/verdict.h), and what fools a naive detector.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

TEST_P(HandshakeFamilyTest, IpTarget) {
  hairpin_ip_target(a());
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  const Attempt& attempt = seen[0].attempt;
  EXPECT_EQ(seen[0].kind, EventKind::kMismatch);
  EXPECT_EQ(attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(attempt.client, (Endpoint{ip(a().p1), 40000}));
  EXPECT_EQ(attempt.load_balancer, (Endpoint{ip(a().lb), 443}));
  EXPECT_EQ(attempt.responder, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(attempt.synack_sent, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(attempt.returned, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(attempt.responder_kind, ResponderKind::kLocalPod);
  EXPECT_EQ(attempt.isn, kIsn);
  EXPECT_EQ(attempt.synack_ack, kIsn + 1);
  EXPECT_EQ(attempt.syn_ifindex, ifindex_of("pod1"));
  EXPECT_EQ(attempt.synack_ifindex, ifindex_of("pod2"));
  EXPECT_EQ(attempt.conntrack, Conntrack::kNoEntry);
  EXPECT_EQ(attempt.outcome, Outcome::kUnknown);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_HAIRPIN_IP_TARGET], 1);
  EXPECT_EQ(counters(a().lb).syns, 1);

  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  const auto outcome = events();
  ASSERT_EQ(outcome.size(), 1);
  EXPECT_EQ(outcome[0].kind, EventKind::kOutcome);
  EXPECT_EQ(outcome[0].attempt.outcome, Outcome::kResetByClient);
}

// Of an incident one attempt a second is told of, and only what became of that one.
TEST_P(HandshakeFamilyTest, OfAnAttemptThatIsCountedOnlyNoOutcomeIsTold) {
  const auto refuse = [&](std::uint16_t port, std::uint32_t isn) {
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, port).to(a().p2, 8443).tcp(kRst, isn + 1));
  };
  std::uint16_t port = 40000;
  std::uint32_t isn = kIsn;
  hairpin_ip_target(a(), port, isn);
  // Until two are within a second, which a machine that is busy elsewhere may keep apart.
  std::uint16_t told = 0;
  while (!events().empty()) {
    told = port++;
    isn += 1000;
    ASSERT_LT(port, 40100);
    hairpin_ip_target(a(), port, isn);
  }
  refuse(port, isn);
  EXPECT_THAT(events(), ::testing::IsEmpty());
  refuse(told, isn - 1000);
  const auto outcome = events();
  ASSERT_EQ(outcome.size(), 1);
  EXPECT_EQ(outcome[0].kind, EventKind::kOutcome);
  EXPECT_EQ(outcome[0].attempt.client.port, told);
}

TEST_P(HandshakeFamilyTest, NodePort) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().node), 30443}));
  EXPECT_EQ(seen[0].attempt.synack_sent, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kNode);
}

// On a bridge whose packets netfilter does not see, the pod's answer is not translated back.
TEST_P(HandshakeFamilyTest, NodePortWhoseAnswerBypassesTheTranslation) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kLocalPod);
}

// externalTrafficPolicy Cluster: the target sees the node's address, and a port of its choosing.
TEST_P(HandshakeFamilyTest, NodePortWithMasquerade) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().node, 1024));
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().node), 30443}));
  EXPECT_EQ(seen[0].attempt.synack_sent, (Endpoint{ip(a().p2), 8443}));
}

TEST_P(HandshakeFamilyTest, NodePortWithMasqueradeAndTargetElsewhere) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  see(Hook::kToNet, "eth0", returned(a().node, a().elsewhere, 8443, 1024));
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
  EXPECT_TRUE(seen[0].attempt.synack_sent.empty());
}

TEST_P(HandshakeFamilyTest, MasqueradeByTheNodeForItsOwnPodsIsLegitimate) {
  see(Hook::kFromPod, "pod1", syn(a()));
  // Never out on the uplink: the node translated the load balancer's address and hid the client.
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().node, 1024));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_TRUE(events().empty());
}

TEST_P(HandshakeFamilyTest, SameIsnToAStrangerIsNoEvidence) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  // Somebody else's handshake that happens to have the ISN: not for an address of this node.
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().elsewhere, 1024));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_TRUE(events().empty());
}

TEST_P(HandshakeFamilyTest, HostTarget) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 8443));
  see(Hook::kToPod, "pod1", synack(a().node, 8443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinHostTarget);
}

TEST_P(HandshakeFamilyTest, AnswerFromAnotherNode) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kAsymmetricRemote);
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kRemote);
}

TEST_P(HandshakeFamilyTest, TwoHandshakesFromOnePort) {
  see(Hook::kFromPod, "pod1", syn(a(), 40000, 1));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().other_lb, 443).tcp(kSyn, 2));
  see(Hook::kToPod, "pod1", synack(a().other_lb, 443, a().p1, 40000, 2));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 40000, 1));
  EXPECT_EQ(counters(a().other_lb).answered, 1);
  EXPECT_EQ(counters(a().lb).answered, 0);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

TEST_P(HandshakeFamilyTest, HealthyHandshakesEmitNothing) {
  for (std::uint16_t i = 0; i < 500; i++) {
    const auto port = static_cast<std::uint16_t>(40000 + i);
    see(Hook::kFromPod, "pod1", syn(a(), port, i));
    see(Hook::kToNet, "eth0", syn(a(), port, i));
    see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().p1, port, i));
    see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, port, i));
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, port).to(a().lb, 443).tcp(kAck, i + 1, 8));
  }
  EXPECT_EQ(counters(a().lb).answered, 500);
  EXPECT_EQ(total(HP_TOTAL_EVENTS), 0);
  EXPECT_EQ(sweep_after(std::chrono::seconds(0)), 0) << "nothing is left pending";
}

TEST_P(HandshakeFamilyTest, TheAnswerWinsOverSuspicion) {
  // Replies policy-routed out of the node: the LB's fabric restores the address (S6).
  hairpin_suspected(a());
  see(Hook::kToNet, "eth0", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sweep_after(std::chrono::seconds(10));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(HandshakeFamilyTest, SimultaneousOpenIsAnswered) {
  // RFC 9293, 3.5, figure 8: both send SYN, and each answers the other's with SYN-ACK of its own ISN.
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", PacketBuilder().from(a().lb, 443).to(a().p1, 40000).tcp(kSyn, 7));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kSyn | kAck, kIsn, 8));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(HandshakeFamilyTest, ALoadBalancerAddressThatIsALocalPods) {
  ASSERT_TRUE(set_frontends({Frontend{.address = ip(a().p2), .port = 443}}));
  const auto to_pod2 = PacketBuilder().from(a().p1, 40000).to(a().p2, 443).tcp(kSyn, kIsn);
  see(Hook::kFromPod, "pod1", to_pod2);
  see(Hook::kToPod, "pod2", to_pod2);
  see(Hook::kFromPod, "pod2", synack(a().p2, 443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 443, a().p1));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().p2).answered, 1);
  EXPECT_EQ(counters(a().p2).mismatched, 0);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace hairpind::testing
