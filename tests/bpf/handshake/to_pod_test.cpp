// SPDX-License-Identifier: Apache-2.0
// What is delivered to a pod (bpf/to_pod.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <thread>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

TEST_P(HandshakeFamilyTest, AnAnswerFloodedToAnotherPodIsNotDelivered) {
  hairpin_suspected(a());
  see(Hook::kToPod, "br2", synack(a().p2, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  see(Hook::kToPod, "br2", synack(a().lb, 443, a().p1));
  EXPECT_EQ(counters(a().lb).answered, 0);
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

TEST_P(HandshakeFamilyTest, WrongIsnIsNoAnswer) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 40000, kIsn + 1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 40000, kIsn - 1));
  EXPECT_THAT(events(), ::testing::IsEmpty());
  EXPECT_EQ(counters(a().lb).mismatched, 0);
}

TEST_P(HandshakeFamilyTest, RefusedByTheLoadBalancer) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", PacketBuilder().from(a().lb, 443).to(a().p1, 40000).tcp(kRst | kAck, 0, kIsn + 1));
  EXPECT_EQ(counters(a().lb).refused, 1);
  EXPECT_EQ(counters(a().lb).answered, 0);
}

TEST_P(HandshakeFamilyTest, SynCookiesOfARetransmitAreTheSameAnswer) {
  hairpin_ip_target(a());
  // A cookie is another sequence number of the server's each time; the acknowledgment stays.
  see(Hook::kToPod, "pod1", PacketBuilder().from(a().p2, 8443).to(a().p1, 40000).tcp(kSyn | kAck, 99, kIsn + 1));
  EXPECT_EQ(counters(a().lb).mismatched, 1);
  EXPECT_EQ(events().size(), 1);
}

TEST_P(HandshakeFamilyTest, AnotherAttemptsStaleAnswerIsNone) {
  hairpin_ip_target(a(), 40000, 1);
  see(Hook::kFromPod, "pod1", syn(a(), 40000, 1'000'000));  // the port is used again
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 40000, 1));
  EXPECT_EQ(counters(a().lb).syns, 2);
  EXPECT_EQ(counters(a().lb).mismatched, 1) << "the late answer is the first attempt's";
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 40000, 1'000'000));
  EXPECT_EQ(counters(a().lb).answered, 1);
}

TEST_P(HandshakeFamilyTest, AnsweredHandshakesAreTimed) {
  see(Hook::kFromPod, "pod1", syn(a(), 40000, 1));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 40000, 1));
  see(Hook::kFromPod, "pod1", syn(a(), 40001, 2));
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 40001, 2));
  const LoadBalancerCounters counted = counters(a().lb);
  EXPECT_GE(counted.latency_sum, std::chrono::milliseconds(30));
  std::uint64_t all = 0;
  std::uint64_t slow = 0;
  constexpr std::array<std::uint32_t, HP_LATENCY_BUCKET_COUNT - 1> kBounds = HP_LATENCY_BOUNDS_US;
  for (std::size_t i = 0; i < HP_LATENCY_BUCKET_COUNT; i++) {
    all += counted.latencies.at(i);
    slow += i > 0 && kBounds[i - 1] >= 25'000 ? counted.latencies.at(i) : 0;
  }
  EXPECT_EQ(all, 2);
  EXPECT_GE(slow, 1) << "30 ms are more than the bound of 25";
}

TEST_P(HandshakeFamilyTest, LateAnswerCompletesACountedMismatch) {
  hairpin_ip_target(a());
  ASSERT_EQ(events().size(), 1);
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.outcome, Outcome::kCompleted);
  EXPECT_EQ(counters(a().lb).mismatched, 1) << "counters never run backwards";
  EXPECT_EQ(counters(a().lb).answered, 0) << "one attempt, one result";
}

TEST_P(HandshakeFamilyTest, FastOpenSynAckAcknowledgesData) {
  see(Hook::kFromPod, "pod1", syn(a()).payload(100));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 40000, kIsn + 100));
  EXPECT_EQ(counters(a().lb).mismatched, 1);

  see(Hook::kFromPod, "pod1", syn(a(), 40001).payload(100));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 40001, kIsn + 100));
  see(Hook::kFromPod, "pod1", syn(a(), 40002).payload(100));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 40002, kIsn));
  EXPECT_EQ(counters(a().lb).answered, 2) << "data accepted or not";
}

TEST_P(HandshakeFamilyTest, AnAnswerLostOnItsWayToThePodIsOneAttempt) {
  const auto ack = PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, kIsn + 1, 8);
  for (int i = 0; i < 3; i++) {
    see(Hook::kFromPod, "pod1", syn(a()));
    see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  }
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 2);
  EXPECT_EQ(counters(a().lb).answered, 1);
  see(Hook::kFromPod, "pod1", ack);
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(counters(a().lb).syns, 2) << "the acknowledged one is forgotten";
}

}  // namespace
}  // namespace hairpind::testing
