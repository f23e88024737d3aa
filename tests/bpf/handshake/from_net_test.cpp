// SPDX-License-Identifier: Apache-2.0
// What comes in on the uplink (bpf/from_net.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

TEST_P(HandshakeFamilyTest, AnAnswerLostInsideTheNodeIsNoMismatch) {
  hairpin_suspected(a());
  see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().p1));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).unanswered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "the load balancer answered";
}

TEST_P(HandshakeFamilyTest, RefusalIsSeenWhereItComesIn) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", PacketBuilder().from(a().lb, 443).to(a().p1, 40000).tcp(kRst | kAck, 0, kIsn + 1));
  EXPECT_EQ(counters(a().lb).refused, 1);
}

TEST_P(HandshakeFamilyTest, AnswerFromAnotherNodeThatOnlyTheClientsResetProves) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "the node may still translate it";
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().elsewhere, 8443).tcp(kRst, kIsn + 1));
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], 1);
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().elsewhere), 8443}));
  EXPECT_EQ(seen[0].attempt.outcome, Outcome::kResetByClient);
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kRemote);
}

// What failed while the load balancer kept the client's address, and works since it does not.
TEST_P(HandshakeFamilyTest, ATargetHereThatIsReachedInTheLoadBalancersNameIsCounted) {
  for (const char* const target : {a().p2, a().node}) {
    const std::uint64_t before = counters(a().lb).same_node_answered;
    see(Hook::kFromPod, "pod1", syn(a()));
    see(Hook::kFromNet, "eth0", returned(a().lb, target, 8443, 1024));
    see(Hook::kToPod, "pod2", returned(a().lb, target, 8443, 1024));
    EXPECT_EQ(counters(a().lb).same_node_answered, before) << "not before it is answered";
    see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().p1));
    see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, kIsn + 1, 1));
    EXPECT_EQ(counters(a().lb).same_node_answered, before + 1);
  }
  EXPECT_EQ(counters(a().lb).answered, 2);
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_TRUE(events().empty());
}

TEST_P(HandshakeFamilyTest, NoOtherWayIsTakenForThat) {
  const auto answered_after = [&](const PacketBuilder& packet) {
    see(Hook::kFromPod, "pod1", syn(a()));
    see(Hook::kFromNet, "eth0", packet);
    see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, kIsn + 1, 1));
  };
  answered_after(returned(a().lb, a().elsewhere, 8443, 1024));
  answered_after(returned(a().lb, a().p2, 8443, 1024, kIsn + 1));
  answered_after(returned(a().p1, a().p2, 8443));
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443));
  answered_after(returned(a().lb, a().p2, 8443, 1024));
  EXPECT_EQ(counters(a().lb).answered, 4);
  EXPECT_EQ(counters(a().lb).same_node_answered, 0);
}

constexpr std::uint32_t kTheirIsn = 0x55667788;

// A load balancer that ends the client's TLS connection opens one of its own, under the client's address.
TEST_P(HandshakeFamilyTest, UnsolicitedSynAck) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  for (int repeated = 0; repeated < 2; repeated++) {
    see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443, 50000, kTheirIsn));
    see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 50000, kTheirIsn));
    see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 50000, kTheirIsn));
    EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_UNSOLICITED_SYNACK], repeated) << "not before the client refuses it";
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 50000).to(a().p2, 8443).tcp(kRst, kTheirIsn + 1));
    EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_UNSOLICITED_SYNACK], 1);
  }
  const LoadBalancerCounters counted = counters(a().lb);
  EXPECT_EQ(counted.syns, 1);
  EXPECT_EQ(counted.answered, 1);
  EXPECT_EQ(counted.mismatched, 0) << "the handshake with the load balancer went well";
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  const Attempt& attempt = seen[0].attempt;
  EXPECT_EQ(attempt.cause, Cause::kUnsolicitedSynAck);
  EXPECT_EQ(attempt.outcome, Outcome::kResetByClient);
  EXPECT_EQ(attempt.client, (Endpoint{ip(a().p1), 50000}));
  EXPECT_EQ(attempt.load_balancer, (Endpoint{ip(a().lb), 443})) << "the one that the client called last";
  EXPECT_EQ(attempt.responder, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(attempt.responder_kind, ResponderKind::kLocalPod);
  EXPECT_EQ(attempt.conntrack, Conntrack::kUnchecked);
}

TEST_P(HandshakeFamilyTest, UnsolicitedSynAckFromANodePort) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443, 50000, kTheirIsn));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 50000, kTheirIsn));
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1, 50000, kTheirIsn));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 50000).to(a().node, 30443).tcp(kRst, kTheirIsn + 1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kUnsolicitedSynAck);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().node), 30443}));
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kNode);
  EXPECT_EQ(seen[0].attempt.synack_sent, (Endpoint{ip(a().p2), 8443}));
}

TEST_P(HandshakeFamilyTest, WhatAClientAcceptsOrNeverCalledForIsNotUnsolicited) {
  const auto sent_back = [&] {
    see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443, 50000, kTheirIsn));
    see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 50000, kTheirIsn));
    see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 50000, kTheirIsn));
  };
  const auto reset = [&] { return PacketBuilder().from(a().p1, 50000).to(a().p2, 8443).tcp(kRst, kTheirIsn + 1); };
  sent_back();
  see(Hook::kFromPod, "pod1", reset());
  EXPECT_THAT(events(), ::testing::IsEmpty()) << "this client has never called a load balancer";

  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sent_back();
  EXPECT_EQ(sweep_after(std::chrono::milliseconds(1)), 0) << "no attempt of the client's waits";
  see(Hook::kFromPod, "pod2", reset());
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1) << "the target knows the ISN, and is not the client";
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 50000).to(a().elsewhere, 8443).tcp(kRst, kTheirIsn + 1));
  sweep_after(std::chrono::seconds(4));
  see(Hook::kFromPod, "pod1", reset());
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_UNSOLICITED_SYNACK], 0) << "it was accepted, and is forgotten";
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

// The node's SNAT comes after `to_net`: the alias is seen only when it comes back.
TEST_P(HandshakeFamilyTest, AnAliasBehindUsIsKnownByItsIsn) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToNet, "eth0", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().node, a().p2, 8443, 50000, kIsn + 1));
  see(Hook::kFromNet, "eth0", returned(a().elsewhere, a().p2, 8443, 50000));
  sweep_after(std::chrono::seconds(1));
  see(Hook::kFromNet, "eth0", returned(a().node, a().p2, 8443, 50000));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().node, 50000));
  sweep_after(std::chrono::seconds(4));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.client, (Endpoint{ip(a().p1), 40000}));
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().p2), 8443}));
}

TEST_P(HandshakeFamilyTest, SoAreTheLoadBalancersAnswersToIt) {
  const auto to_alias = [&](std::uint8_t flags, std::uint32_t isn) {
    return PacketBuilder().from(a().lb, 443).to(a().node, 50000).tcp(flags, 7, isn + 1);
  };
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", to_alias(kRst | kAck, kIsn));
  EXPECT_EQ(counters(a().lb).refused, 1);
  // A client on the node, whose port another has outside.
  see(Hook::kToNet, "eth0", PacketBuilder().from(a().node, 50001).to(a().lb, 443).tcp(kSyn, kIsn + 9));
  see(Hook::kFromNet, "eth0", to_alias(kSyn | kAck, kIsn + 9));
  EXPECT_EQ(counters(a().lb).answered, 1);
}

}  // namespace
}  // namespace hairpind::testing
