// SPDX-License-Identifier: Apache-2.0
// The veto (S5), asked for in userspace (bpf/conntrack_question.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

class ConntrackQuestionTest : public HandshakeFamilyTest {
 protected:
  static KernelFeatures without_kfunc() { return features().without(Feature::kConntrackKfunc); }

  void use_without_kfunc() {
    use(fresh_kernel_side(without_kfunc()));
    kernel->variables.set_ask_conntrack(true);
  }

  // A SYN-ACK that nothing has been seen of since it left the target: suspicion, and no more.
  void suspect(std::uint16_t port = 40000, std::uint32_t isn = kIsn) {
    see(Hook::kFromPod, "pod1", syn(a(), port, isn));
    see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, port, isn));
  }

  // The one question that a sweep has put.
  Attempt question() const {
    const auto seen = events();
    EXPECT_EQ(seen.size(), 1);
    if (seen.size() != 1) {
      return {};
    }
    EXPECT_EQ(seen[0].kind, EventKind::kConntrack);
    return seen[0].attempt;
  }

  void answer(const Attempt& asked, Conntrack conntrack) const {
    EXPECT_TRUE(kernel->settler.set_conntrack(asked, {.conntrack = conntrack, .source = ConntrackSource::kNetlink}));
  }
};
INSTANTIATE_TEST_SUITE_P(Families, ConntrackQuestionTest, ::testing::Values(&kV4, &kV6), family_name);

TEST_P(ConntrackQuestionTest, TranslationIsLegitimateThoughTheKernelSideCannotTell) {
  use_without_kfunc();
  suspect();
  sweep_after(std::chrono::seconds(1));
  const Attempt asked = question();
  EXPECT_EQ(asked.client, (Endpoint{ip(a().p1), 40000}));
  EXPECT_EQ(asked.load_balancer, (Endpoint{ip(a().lb), 443}));
  EXPECT_EQ(asked.synack_sent, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(asked.conntrack, Conntrack::kUnchecked);
  answer(asked, Conntrack::kTranslated);
  answer(asked, Conntrack::kTranslated);
  EXPECT_EQ(counters(a().lb).translations, 1) << "attempts, not answers";
  sweep_after(std::chrono::seconds(10));
  EXPECT_EQ(counters(a().lb).unanswered, 1) << "it never got to the client";
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(ConntrackQuestionTest, AnyOtherAnswerLeavesTheMismatchAndItsEvidence) {
  for (const Conntrack conntrack : {Conntrack::kNotTranslated, Conntrack::kNoEntry}) {
    use_without_kfunc();
    suspect();
    sweep_after(std::chrono::seconds(1));
    answer(question(), conntrack);
    sweep_after(std::chrono::seconds(2));
    EXPECT_THAT(events(), ::testing::IsEmpty()) << "asked once";
    sweep_after(std::chrono::seconds(4));
    const auto seen = events();
    ASSERT_EQ(seen.size(), 1);
    EXPECT_EQ(seen[0].kind, EventKind::kMismatch);
    EXPECT_EQ(seen[0].attempt.conntrack, conntrack);
    EXPECT_EQ(seen[0].attempt.conntrack_source, ConntrackSource::kNetlink);
    EXPECT_EQ(counters(a().lb).mismatched, 1);
    EXPECT_EQ(counters(a().lb).translations, 0);
  }
}

TEST_P(ConntrackQuestionTest, TheSweepThatAsksDoesNotConclude) {
  use_without_kfunc();
  suspect();
  EXPECT_EQ(sweep_after(std::chrono::seconds(4)), 1) << "the first sweep comes after the settle time";
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  answer(question(), Conntrack::kTranslated);
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_EQ(counters(a().lb).unanswered, 1) << "it never got to the client";
}

TEST_P(ConntrackQuestionTest, NoAnswerDelaysAVerdictByOneSweep) {
  use_without_kfunc();
  suspect();
  sweep_after(std::chrono::seconds(4));
  question();
  EXPECT_EQ(sweep_after(std::chrono::seconds(4)), 0);
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].kind, EventKind::kMismatch);
  EXPECT_EQ(seen[0].attempt.conntrack, Conntrack::kUnchecked);
  EXPECT_EQ(seen[0].attempt.conntrack_source, ConntrackSource::kNone);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

TEST_P(ConntrackQuestionTest, HandshakesOnTheirWayAreNotAskedAbout) {
  use_without_kfunc();
  see(Hook::kFromPod, "pod1", syn(a()));
  const SinceBoot before = monotonic_now();
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  EXPECT_EQ(sweep_at(before + std::chrono::milliseconds(99)), 1);
  EXPECT_THAT(events(), ::testing::IsEmpty());
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sweep_after(std::chrono::seconds(1));
  EXPECT_EQ(total(HP_TOTAL_EVENTS), 0) << "healthy traffic costs no event";
}

TEST_P(ConntrackQuestionTest, OnlyWhatTheVetoCanStillClearIsAskedAbout) {
  use_without_kfunc();
  see(Hook::kFromPod, "pod1", syn(a(), 40000, 1));  // nothing has answered
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443, 40000, 1));
  hairpin_ip_target(a(), 40001, 2);  // conclusive
  EXPECT_EQ(events().size(), 1);
  sweep_after(std::chrono::seconds(1));
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(ConntrackQuestionTest, NobodyIsAskedWhereNobodyCanTell) {
  use_without_kfunc();
  kernel->variables.set_ask_conntrack(false);
  suspect();
  sweep_after(std::chrono::seconds(1));
  EXPECT_THAT(events(), ::testing::IsEmpty());
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

// Cilium's own table beside netfilter's.
TEST_P(ConntrackQuestionTest, NoEntryInNetfilterIsNotTheLastWordWhereThereIsSomebodyToAsk) {
  kernel->variables.set_ask_conntrack(true);
  suspect();
  sweep_after(std::chrono::seconds(1));
  const Attempt asked = question();
  EXPECT_EQ(asked.conntrack, Conntrack::kNoEntry);
  EXPECT_EQ(asked.conntrack_source, ConntrackSource::kKernel);
  EXPECT_TRUE(
      kernel->settler.set_conntrack(asked, {.conntrack = Conntrack::kTranslated, .source = ConntrackSource::kCilium}));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
}

TEST_P(ConntrackQuestionTest, AnEntryInNetfilterIsTheLastWord) {
  kernel->variables.set_ask_conntrack(true);
  add_conntrack_entry({ip(a().p1), 41100}, {ip(a().lb), 443}, {ip(a().lb), 443});
  suspect(41100, 1);
  add_conntrack_entry({ip(a().p1), 41101}, {ip(a().lb), 443}, {ip(a().p2), 8443});
  suspect(41101, 2);
  sweep_after(std::chrono::seconds(1));
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(ConntrackQuestionTest, AnswersThatComeTooLateOrForAnotherResponderAreIgnored) {
  use_without_kfunc();
  suspect();
  sweep_after(std::chrono::seconds(1));
  const Attempt asked = question();
  Attempt other = asked;
  other.synack_sent.port++;
  answer(other, Conntrack::kTranslated);
  other = asked;
  other.isn++;
  answer(other, Conntrack::kTranslated);
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  answer(asked, Conntrack::kTranslated);
  EXPECT_EQ(counters(a().lb).translations, 0);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

TEST_P(ConntrackQuestionTest, WhatFindsNoRoomInTheRingIsAskedAgain) {
  constexpr std::uint16_t kAttempts = 40;
  load({.ring_bytes = 4096}, without_kfunc());
  kernel->variables.set_ask_conntrack(true);
  for (std::uint16_t i = 0; i < kAttempts; i++) {
    suspect(static_cast<std::uint16_t>(40000 + i), i);
  }
  std::set<std::uint16_t> asked;
  // Past the settle time, too, nothing is concluded that has not been asked about.
  for (int sweep = 0; sweep < 4; sweep++) {
    EXPECT_EQ(sweep_after(std::chrono::seconds(4)), kAttempts - asked.size());
    const auto seen = events();
    EXPECT_LT(seen.size(), kAttempts);
    for (const Event& event : seen) {
      EXPECT_TRUE(asked.insert(event.attempt.client.port).second) << "asked twice";
      answer(event.attempt, Conntrack::kTranslated);
    }
  }
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(asked.size(), kAttempts);
  EXPECT_EQ(counters(a().lb).unanswered, kAttempts);
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_EQ(total(HP_TOTAL_RING_FULL), 0) << "no sample was lost";
}

TEST_P(ConntrackQuestionTest, ARingThatNobodyReadsDelaysAVerdictNoLongerThanASecondSettleTime) {
  constexpr std::uint16_t kAttempts = 40;
  load({.ring_bytes = 4096}, without_kfunc());
  kernel->variables.set_ask_conntrack(true);
  for (std::uint16_t i = 0; i < kAttempts; i++) {
    suspect(static_cast<std::uint16_t>(40000 + i), i);
  }
  EXPECT_EQ(sweep_after(std::chrono::seconds(4)), kAttempts);
  EXPECT_EQ(sweep_after(std::chrono::seconds(20)), 0);
  EXPECT_EQ(counters(a().lb).mismatched, kAttempts);
}

}  // namespace
}  // namespace hairpind::testing
