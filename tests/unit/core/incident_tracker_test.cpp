// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/incident_tracker.hpp"

#include <gtest/gtest.h>

#include "attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using testing::ip_target_attempt;

constexpr SinceBoot kStart = 100s;

class IncidentTrackerTest : public ::testing::Test {
 protected:
  void sight(const Attempt& attempt, SinceBoot now) {
    tracker.on_event({.kind = EventKind::kMismatch, .time = now, .attempt = attempt, .drop_symbol = ""}, now);
  }
  void outcome(Attempt attempt, Outcome outcome, SinceBoot now, const std::string& symbol = "") {
    attempt.outcome = outcome;
    tracker.on_event({.kind = EventKind::kOutcome, .time = now, .attempt = attempt, .drop_symbol = symbol}, now);
  }
  void counts(std::uint64_t count, SinceBoot now, const Attempt& example = ip_target_attempt()) {
    tracker.on_counts({{.key = IncidentKey::of(example), .count = count, .last_event = now, .example = example}}, now);
  }
  std::vector<DueAlert> due(SinceBoot now) {
    return tracker.take_due(now, [&](const IncidentKey&) { return read; });
  }

  IncidentTracker tracker{{.outcome_wait = 200ms, .repeat_intervals = {60s}}};
  std::optional<std::uint64_t> read = 1;  ///< what the kernel says when an alert is told
};

TEST_F(IncidentTrackerTest, FirstSightingWaitsBrieflyForItsOutcome) {
  sight(ip_target_attempt(), kStart);
  EXPECT_TRUE(due(kStart).empty());
  EXPECT_EQ(tracker.next_deadline(), kStart + 200ms);
  EXPECT_TRUE(due(kStart + 199ms).empty());
  const auto alerts = due(kStart + 200ms);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].event, AlertEvent::kAsymmetricHandshake);
  EXPECT_EQ(alerts[0].time, kStart);
  EXPECT_EQ(alerts[0].example.outcome, Outcome::kUnknown);
  EXPECT_FALSE(tracker.next_deadline());
}

TEST_F(IncidentTrackerTest, OutcomeEndsTheWait) {
  sight(ip_target_attempt(), kStart);
  outcome(ip_target_attempt(), Outcome::kDropped, kStart + 1ms, "nf_hook_slow");
  const auto alerts = due(kStart + 1ms);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].example.outcome, Outcome::kDropped);
  EXPECT_EQ(alerts[0].drop_symbol, "nf_hook_slow");
  EXPECT_EQ(alerts[0].time, kStart) << "the time of the attempt, not of its outcome";
}

// The API server is asked for its identities meanwhile.
TEST_F(IncidentTrackerTest, ADropOfCiliumsWaitsForNames) {
  Attempt attempt = ip_target_attempt();
  attempt.outcome = Outcome::kDropped;
  attempt.cilium_drop = CiliumDrop{.source_identity = 1001, .destination_identity = 2002, .endpoint = 3, .reason = 133};
  sight(attempt, kStart);
  EXPECT_TRUE(due(kStart + 199ms).empty());
  EXPECT_EQ(due(kStart + 200ms).size(), 1);
}

TEST_F(IncidentTrackerTest, AnotherAttemptsOutcomeIsNotTheExamples) {
  sight(ip_target_attempt(40001, 1), kStart);
  sight(ip_target_attempt(40002, 2), kStart + 1ms);
  outcome(ip_target_attempt(40002, 2), Outcome::kResetByClient, kStart + 2ms);
  EXPECT_TRUE(due(kStart + 2ms).empty());
  const auto alerts = due(kStart + 200ms);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].example.client.port, 40001);
  EXPECT_EQ(alerts[0].example.outcome, Outcome::kUnknown);
}

TEST_F(IncidentTrackerTest, RepeatsAtMostOnceAnIntervalWithTheExactCount) {
  sight(ip_target_attempt(), kStart);
  ASSERT_EQ(due(kStart + 200ms).size(), 1);
  // Told at +200 ms. Nothing new: nothing to tell.
  counts(1, kStart + 30s);
  EXPECT_FALSE(tracker.next_deadline());
  for (int second = 31; second < 60; second++) {
    sight(ip_target_attempt(40000, static_cast<std::uint32_t>(second)), kStart + std::chrono::seconds(second));
    counts(static_cast<std::uint64_t>(second), kStart + std::chrono::seconds(second));
    EXPECT_TRUE(due(kStart + std::chrono::seconds(second)).empty());
  }
  read = 4711;
  EXPECT_EQ(tracker.next_deadline(), kStart + 60s + 200ms);
  const auto alerts = due(kStart + 60s + 200ms);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].event, AlertEvent::kAsymmetricHandshakeRepeated);
  EXPECT_EQ(alerts[0].count, 4711);
  EXPECT_FALSE(tracker.next_deadline());
}

// The kernel's sample of an attempt may come when its count has already been told.
TEST_F(IncidentTrackerTest, NoRepeatWhereNothingWasAdded) {
  read = 2;
  sight(ip_target_attempt(40001, 1), kStart);
  ASSERT_EQ(due(kStart + 200ms).at(0).count, 2);
  sight(ip_target_attempt(40002, 2), kStart + 201ms);
  EXPECT_TRUE(due(kStart + 2min).empty());
  EXPECT_FALSE(tracker.next_deadline());
  read = 3;
  counts(3, kStart + 3min);
  EXPECT_EQ(due(kStart + 3min).at(0).count, 3);
}

TEST_F(IncidentTrackerTest, ACountThatStartedOverIsToldAgain) {
  read = 9;
  sight(ip_target_attempt(), kStart);
  ASSERT_EQ(due(kStart + 200ms).size(), 1);
  read = 2;
  counts(1, kStart + 1min);
  counts(2, kStart + 2min);
  EXPECT_EQ(due(kStart + 2min).at(0).count, 2);
}

TEST_F(IncidentTrackerTest, TimeAndEvidenceAreOfOneAttempt) {
  sight(ip_target_attempt(40001, 1), kStart);
  ASSERT_EQ(due(kStart + 200ms).size(), 1);
  sight(ip_target_attempt(40002, 2), kStart + 1s);
  outcome(ip_target_attempt(40001, 1), Outcome::kResetByClient, kStart + 2s);
  read = 2;
  const auto alerts = due(kStart + 2min);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].example.client.port, 40002);
  EXPECT_EQ(alerts[0].example.outcome, Outcome::kUnknown) << "the other attempt's";
  EXPECT_EQ(alerts[0].time, kStart + 1s);
}

TEST_F(IncidentTrackerTest, AnOutcomeWhoseSightingWasLostHasATimeOfItsOwn) {
  outcome(ip_target_attempt(), Outcome::kDropped, kStart + 5s);
  EXPECT_EQ(due(kStart + 5s).at(0).time, kStart + 5s);
}

// One connection that got through after all makes no warning of those that did not.
TEST_F(IncidentTrackerTest, ALateCompletedIsNoWordOnTheRepeat) {
  sight(ip_target_attempt(), kStart);
  outcome(ip_target_attempt(), Outcome::kResetByClient, kStart);
  ASSERT_EQ(due(kStart).size(), 1);
  outcome(ip_target_attempt(), Outcome::kCompleted, kStart + 1s);
  read = 5;
  counts(5, kStart + 2s);
  EXPECT_EQ(due(kStart + 2min).at(0).example.outcome, Outcome::kResetByClient);
  // Of an attempt that no alert has been made of, it is.
  sight(ip_target_attempt(40002, 2), kStart + 3min);
  outcome(ip_target_attempt(40002, 2), Outcome::kCompleted, kStart + 3min);
  read = 6;
  EXPECT_EQ(due(kStart + 5min).at(0).example.outcome, Outcome::kCompleted);
}

TEST_F(IncidentTrackerTest, AtTheEndFirstAlertsAreToldAndRepeatsAreNot) {
  Attempt other = ip_target_attempt();
  other.client.address = *IpAddress::parse("10.0.1.11");
  sight(other, kStart);
  ASSERT_EQ(due(kStart + 200ms).size(), 1);
  read = 7;
  counts(7, kStart + 1s, other);
  sight(ip_target_attempt(), kStart + 1s);
  const auto alerts =
      tracker.take_untold(kStart + 1s, [&](const IncidentKey&) { return std::optional<std::uint64_t>(7); });
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].key.client, ip_target_attempt().client.address);
}

TEST_F(IncidentTrackerTest, GrowingCountAloneIsToldToo) {
  sight(ip_target_attempt(), kStart);
  ASSERT_EQ(due(kStart + 200ms).size(), 1);
  // The ring was full: no event, but the kernel counted on.
  counts(9, kStart + 1s);
  EXPECT_EQ(tracker.next_deadline(), kStart + 60s + 200ms);
}

TEST_F(IncidentTrackerTest, IncidentWhoseEventWasLostIsFoundByItsCount) {
  counts(5, kStart);
  read = 5;
  const auto alerts = due(kStart + 200ms);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].event, AlertEvent::kAsymmetricHandshake);
  EXPECT_EQ(alerts[0].count, 5);
  EXPECT_EQ(alerts[0].example.client, ip_target_attempt().client);
}

TEST_F(IncidentTrackerTest, EventAndCountOfOneIncidentAreOneAlert) {
  counts(1, kStart);
  sight(ip_target_attempt(), kStart + 1ms);
  EXPECT_EQ(due(kStart + 300ms).size(), 1);
  counts(1, kStart + 1s);
  EXPECT_TRUE(due(kStart + 1h).empty());
}

TEST_F(IncidentTrackerTest, EntryBeingMadeIsNotYetAnIncident) {
  counts(0, kStart);
  EXPECT_TRUE(due(kStart + 1h).empty());
}

TEST_F(IncidentTrackerTest, UnreadableCountFallsBackToTheNewestKnown) {
  counts(7, kStart);
  read = std::nullopt;
  EXPECT_EQ(due(kStart + 200ms).at(0).count, 7);
}

TEST_F(IncidentTrackerTest, DifferentPairsAreDifferentIncidentsToldInOrder) {
  Attempt other = ip_target_attempt();
  other.client.address = *IpAddress::parse("10.0.1.11");
  sight(ip_target_attempt(), kStart + 1ms);
  sight(other, kStart);
  const auto alerts = due(kStart + 1s);
  ASSERT_EQ(alerts.size(), 2);
  EXPECT_EQ(alerts[0].example.client.address, other.client.address);
}

TEST_F(IncidentTrackerTest, ForgottenIncidentStartsOver) {
  sight(ip_target_attempt(), kStart);
  ASSERT_EQ(due(kStart + 1s).size(), 1);
  tracker.on_counts({}, kStart + 24h);
  sight(ip_target_attempt(), kStart + 25h);
  EXPECT_EQ(due(kStart + 25h + 1s).at(0).event, AlertEvent::kAsymmetricHandshake);
}

TEST(IncidentKey, IdIsStableAndNamesThePairNotTheAttempt) {
  const IncidentKey key = IncidentKey::of(ip_target_attempt());
  // Written down once: tickets and silences refer to it, so no version may change it.
  EXPECT_EQ(key.id(), "b775f4d550e3d157");
  EXPECT_EQ(IncidentKey::of(ip_target_attempt(50000, 9)).id(), key.id());
  std::set<std::string> ids{key.id()};
  for (auto change : std::initializer_list<void (*)(IncidentKey&)>{
           [](IncidentKey& k) { k.client = *IpAddress::parse("10.0.1.11"); },
           [](IncidentKey& k) { k.load_balancer.port = 80; },
           [](IncidentKey& k) { k.load_balancer.address = *IpAddress::parse("10.0.5.6"); },
           [](IncidentKey& k) { k.responder.port = 80; },
           [](IncidentKey& k) { k.responder = {}; },
           [](IncidentKey& k) { k.cause = Cause::kHairpinNodePort; },
       }) {
    IncidentKey changed = key;
    change(changed);
    EXPECT_TRUE(ids.insert(changed.id()).second);
  }
}

TEST(IncidentTrackerIntervalTest, RepeatsBackOffToOnceAnHour) {
  IncidentTracker tracker{{}};
  std::uint64_t count = 0;
  std::vector<std::chrono::minutes> told;
  for (auto minute = 0min; minute <= 200min; minute++) {
    count++;
    const SinceBoot now = kStart + minute;
    tracker.on_event({.kind = EventKind::kMismatch, .time = now, .attempt = ip_target_attempt(), .drop_symbol = ""},
                     now);
    if (!tracker.take_due(now + 1s, [&](const IncidentKey&) { return std::optional(count); }).empty()) {
      told.push_back(minute);
    }
  }
  EXPECT_EQ(told, (std::vector<std::chrono::minutes>{0min, 1min, 6min, 21min, 81min, 141min}));
}

// What goes on, of one that was told to be over, does not wait for the next repeat.
TEST_F(IncidentTrackerTest, AClosedOneIsToldAnewAsSoonAsItIsSeenAgain) {
  sight(ip_target_attempt(40001, 1), kStart);
  ASSERT_EQ(due(kStart + 200ms).size(), 1);
  counts(1, kStart + 1s);
  tracker.close(ip_target_attempt().load_balancer);
  counts(1, kStart + 2s);
  outcome(ip_target_attempt(40001, 1), Outcome::kDropped, kStart + 3s);
  EXPECT_FALSE(tracker.next_deadline()) << "nothing new has been seen of it";
  read = 2;
  sight(ip_target_attempt(40002, 2), kStart + 4s);
  const auto alerts = due(kStart + 4s + 200ms);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].event, AlertEvent::kAsymmetricHandshake);
  EXPECT_EQ(alerts[0].example.client.port, 40002);
  EXPECT_EQ(alerts[0].count, 2);
  EXPECT_EQ(alerts[0].time, kStart + 4s);
  counts(3, kStart + 5s);
  EXPECT_EQ(tracker.next_deadline(), kStart + 4s + 200ms + 60s) << "repeats go on from there";
}

TEST_F(IncidentTrackerTest, AClosedOneWhoseEventWasLostIsFoundByItsCount) {
  sight(ip_target_attempt(), kStart);
  ASSERT_EQ(due(kStart + 200ms).size(), 1);
  counts(1, kStart + 1s);
  tracker.close(ip_target_attempt().load_balancer);
  read = 5;
  counts(5, kStart + 2s);
  const auto alerts = due(kStart + 2s + 200ms);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].event, AlertEvent::kAsymmetricHandshake);
  EXPECT_EQ(alerts[0].count, 5);
}

TEST_F(IncidentTrackerTest, AnotherLoadBalancersIncidentsStayOpen) {
  sight(ip_target_attempt(), kStart);
  ASSERT_EQ(due(kStart + 200ms).size(), 1);
  tracker.close(testing::endpoint("10.0.5.6", 443));
  read = 2;
  counts(2, kStart + 1s);
  EXPECT_EQ(tracker.next_deadline(), kStart + 200ms + 60s);
}

TEST(IncidentKey, ALinkLocalClientIsAnotherOnEachNode) {
  IncidentKey key = IncidentKey::of(ip_target_attempt());
  EXPECT_EQ(key.id("node-a"), key.id()) << "an address of the cluster's is the same pod's wherever it is seen";
  for (const char* const address : {"169.254.172.5", "fe80::5"}) {
    key.client = *IpAddress::parse(address);
    EXPECT_NE(key.id("node-a"), key.id("node-b")) << address;
    EXPECT_EQ(key.id("node-a"), key.id("node-a"));
  }
}

}  // namespace
}  // namespace hairpind
