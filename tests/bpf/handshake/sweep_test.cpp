// SPDX-License-Identifier: Apache-2.0
// The settle time, and the end of what is remembered (bpf/sweep.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

TEST_P(HandshakeFamilyTest, UnansweredAfterTheTimeout) {
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(sweep_after(std::chrono::seconds(2)), 1);
  EXPECT_EQ(counters(a().lb).unanswered, 0);
  EXPECT_EQ(sweep_after(std::chrono::seconds(4)), 0);
  EXPECT_EQ(counters(a().lb).unanswered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "silence alone is no mismatch";
  see(Hook::kFromPod, "pod1", syn(a()));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).syns, 1) << "a retransmit after the verdict is not a new attempt";
  EXPECT_EQ(counters(a().lb).unanswered, 1);
}

TEST_P(HandshakeFamilyTest, ReturnedAndNeverAnsweredIsAMismatch) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443));
  EXPECT_THAT(events(), ::testing::IsEmpty());
  sweep_after(std::chrono::seconds(4));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_TRUE(seen[0].attempt.responder.empty());
  EXPECT_EQ(counters(a().lb).mismatched, 1);
  EXPECT_EQ(counters(a().lb).unanswered, 0);
}

TEST_P(HandshakeFamilyTest, MismatchAfterTheTimeoutStillCounts) {
  see(Hook::kFromPod, "pod1", syn(a()));
  sweep_after(std::chrono::seconds(4));
  hairpin_ip_target(a());
  EXPECT_EQ(events().size(), 1);
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_HAIRPIN_IP_TARGET], 1);
  EXPECT_EQ(counters(a().lb).unanswered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "one attempt, one result: it was unanswered";
}

TEST_P(HandshakeFamilyTest, DecidedAttemptsAreForgottenInTheEnd) {
  hairpin_ip_target(a());
  sweep_after(std::chrono::seconds(100));
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1) << "the largest gap between retransmits is 64 s";
  sweep_after(std::chrono::seconds(140));
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(counters(a().lb).syns, 2);
}

TEST_P(HandshakeFamilyTest, AnAnsweredPodThatStaysSilentIsForgottenAfterItsLastRetransmit) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sweep_after(std::chrono::seconds(2));
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(counters(a().lb).syns, 1);
  sweep_after(std::chrono::seconds(5));
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(counters(a().lb).syns, 2);
}

}  // namespace
}  // namespace hairpind::testing
