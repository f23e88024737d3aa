// SPDX-License-Identifier: Apache-2.0
#include "problem_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../core/attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ip_target_attempt;
using ::testing::IsEmpty;

constexpr SinceBoot kStart = 1000h;
const Endpoint kLb = testing::endpoint("10.0.5.5", 443);

class ProblemWatchTest : public ::testing::Test {
 protected:
  // A second passes; so many attempts end in it.
  std::vector<Alert> pass(std::uint64_t mismatched, std::uint64_t answered) {
    now += 1s;
    row.mismatched += mismatched;
    row.mismatches[HP_CAUSE_HAIRPIN_IP_TARGET] += mismatched;
    row.answered += answered;
    if (mismatched != 0) {
      incidents = {{.key = IncidentKey::of(ip_target_attempt()),
                    .count = row.mismatched,
                    .last_event = now,
                    .example = ip_target_attempt()}};
    }
    return watch.look(incidents, {{.load_balancer = {}}, row}, node, sources, now);
  }
  std::vector<Alert> pass_until_told(std::uint64_t answered) {
    for (int second = 0; second < 120; second++) {
      if (auto alerts = pass(0, answered); !alerts.empty()) {
        return alerts;
      }
    }
    return {};
  }
  std::vector<Alert> first_alert() {
    Alert alert;
    alert.load_balancer = kLb;
    alert.message = "SYN ...";
    std::vector<Alert> alerts{alert, alert};
    alerts[1].event = AlertEvent::kAsymmetricHandshakeRepeated;
    watch.mark_reopening(alerts, sources);
    return alerts;
  }

  ProblemWatch watch{{}};
  SinceBoot now = kStart;
  LoadBalancerCounters row{.load_balancer = kLb};
  std::vector<IncidentCount> incidents;
  bool target_here = true;
  NodeView node{.has_device = [this](std::uint32_t ifindex) { return ifindex == 1 || target_here; }};
  AlertSources sources{.node = "n1",
                       .boot_to_wall = 5s,
                       .interface_name = [](std::uint32_t) { return std::nullopt; },
                       .drop_reason_name = [](std::uint32_t) { return std::nullopt; },
                       .cluster = nullptr};
};

TEST_F(ProblemWatchTest, ThePathThatFailedAndWorksIsProof) {
  EXPECT_THAT(pass(1, 0), IsEmpty());
  EXPECT_THAT(pass_until_told(1), IsEmpty()) << "one mismatch is no share";
  row.same_node_answered += 3;
  const auto alerts = pass(0, 3);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].event, AlertEvent::kAsymmetricHandshakeResolved);
  EXPECT_EQ(alerts[0].problem->proof, FixProof::kSameNodePath);
  EXPECT_EQ(alerts[0].problem->same_node_answers, 3);
}

TEST_F(ProblemWatchTest, WhoIsHereIsKnownFromTheFirstFailureOn) {
  EXPECT_THAT(pass(20, 0), IsEmpty());
  EXPECT_THAT(pass(0, 40), IsEmpty());
  const auto alerts = pass_until_told(0);
  ASSERT_EQ(alerts.size(), 1) << "the second after the failure counts";
  EXPECT_EQ(alerts[0].problem->proof, FixProof::kStatistical);
}

TEST_F(ProblemWatchTest, WhatNeverFailedHasNoState) {
  EXPECT_THAT(pass(0, 100), IsEmpty());
  EXPECT_EQ(watch.status()->at(kLb).state, std::nullopt);
  EXPECT_EQ(watch.status()->at(kLb).last_answered, WallTime(now + 5s));
  EXPECT_THAT(pass(0, 0), IsEmpty());
  EXPECT_EQ(watch.status()->at(kLb).last_answered, WallTime(now + 4s));
}

TEST_F(ProblemWatchTest, AFixIsToldOnceWithItsNumbers) {
  EXPECT_THAT(pass(20, 0), IsEmpty());
  EXPECT_EQ(watch.status()->at(kLb).state, ProblemState::kActive);
  EXPECT_EQ(watch.status()->at(kLb).last_mismatch.at(Cause::kHairpinIpTarget), WallTime(now + 5s));
  const auto alerts = pass_until_told(5);
  ASSERT_EQ(alerts.size(), 1);
  const Alert& alert = alerts[0];
  EXPECT_EQ(alert.event, AlertEvent::kAsymmetricHandshakeResolved);
  EXPECT_EQ(alert.severity, Severity::kInfo);
  EXPECT_EQ(alert.load_balancer, kLb);
  EXPECT_EQ(alert.incident, IncidentKey::of(ip_target_attempt()).id());
  EXPECT_EQ(alert.count, 20);
  EXPECT_EQ(alert.time, WallTime(now + 5s));
  ASSERT_TRUE(alert.problem);
  EXPECT_EQ(alert.problem->proof, FixProof::kStatistical);
  EXPECT_GE(alert.problem->run, 20);
  EXPECT_LE(alert.problem->chance, 0.001);
  EXPECT_THAT(alert.message, HasSubstr("work again: 20 attempts were misdirected until then"));
  EXPECT_EQ(watch.status()->at(kLb).state, ProblemState::kFixed);
  EXPECT_THAT(pass_until_told(5), IsEmpty());
}

TEST_F(ProblemWatchTest, ATargetThatLeftIsToldToBeDormantWhateverIsAnswered) {
  pass(20, 0);
  target_here = false;
  const auto alerts = pass_until_told(50);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].event, AlertEvent::kAsymmetricHandshakeDormant);
  EXPECT_EQ(alerts[0].severity, Severity::kWarning);
  ASSERT_TRUE(alerts[0].problem && alerts[0].problem->why);
  EXPECT_TRUE(alerts[0].problem->why->targets);
  EXPECT_THAT(alerts[0].problem->why->who, ElementsAre("10.0.1.20"));
  EXPECT_EQ(alerts[0].problem->why->when, WallTime(kStart + 2s + 5s));
  EXPECT_THAT(alerts[0].message, HasSubstr("quiet, not fixed: its target (10.0.1.20) has left this node"));
  EXPECT_THAT(alerts[0].hint, HasSubstr("Do not close it"));
  EXPECT_THAT(pass_until_told(50), IsEmpty());
  EXPECT_EQ(watch.status()->at(kLb).state, ProblemState::kDormant);
}

// The event of a mismatch comes through the ring before its count is read.
TEST_F(ProblemWatchTest, TheFirstAlertThatReopensItSaysSoOnce) {
  pass(20, 0);
  EXPECT_FALSE(first_alert()[0].problem) << "it was never told to be over";
  target_here = false;
  ASSERT_EQ(pass_until_told(0).size(), 1);
  target_here = true;
  const auto alerts = first_alert();
  ASSERT_TRUE(alerts[0].problem);
  EXPECT_EQ(alerts[0].problem->state, ProblemState::kDormant);
  EXPECT_EQ(alerts[0].problem->mismatched, 20);
  EXPECT_THAT(alerts[0].message, ::testing::StartsWith("back after it was dormant, 20 attempts before: SYN"));
  EXPECT_FALSE(alerts[1].problem) << "a repeat is no reopening";
  pass(1, 0);
  EXPECT_FALSE(first_alert()[0].problem) << "told already";
  EXPECT_EQ(watch.status()->at(kLb).state, ProblemState::kActive);
}

TEST_F(ProblemWatchTest, AReopeningWhoseEventWasLostIsToldOfAfterItsCount) {
  pass(20, 0);
  ASSERT_EQ(pass_until_told(5).size(), 1);
  pass(3, 0);
  const auto alerts = first_alert();
  ASSERT_TRUE(alerts[0].problem);
  EXPECT_EQ(alerts[0].problem->state, ProblemState::kFixed);
  EXPECT_EQ(alerts[0].problem->mismatched, 20);
  EXPECT_FALSE(first_alert()[0].problem);
}

TEST_F(ProblemWatchTest, ARowThatIsGivenBackTakesItsProblemAlong) {
  pass(20, 0);
  static_cast<void>(watch.look({}, {{.load_balancer = {}}}, node, sources, now));
  EXPECT_THAT(*watch.status(), IsEmpty());
}

class RestoredProblemWatchTest : public ProblemWatchTest {
 protected:
  // Another agent goes on; its kernel side has counted nothing.
  void restart() {
    auto kept = watch.keep();
    watch = ProblemWatch{{}};
    watch.restore(std::move(kept));
    row = {.load_balancer = kLb};
    incidents.clear();
  }
};

TEST_F(RestoredProblemWatchTest, GoesOnWithItsLoadBalancer) {
  pass(20, 5);
  const auto last_mismatch = watch.status()->at(kLb).last_mismatch;
  const auto last_answered = watch.status()->at(kLb).last_answered;
  restart();
  pass(0, 0);
  EXPECT_EQ(watch.status()->at(kLb).state, ProblemState::kActive);
  EXPECT_EQ(watch.status()->at(kLb).last_mismatch, last_mismatch);
  EXPECT_EQ(watch.status()->at(kLb).last_answered, last_answered);
  target_here = false;
  const auto alerts = pass_until_told(0);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].event, AlertEvent::kAsymmetricHandshakeDormant);
  EXPECT_EQ(alerts[0].incident, IncidentKey::of(ip_target_attempt()).id());
  EXPECT_EQ(alerts[0].count, 20);
  ASSERT_TRUE(alerts[0].problem->why);
  EXPECT_THAT(alerts[0].problem->why->who, ElementsAre("10.0.1.20"));
}

TEST_F(RestoredProblemWatchTest, WhatWasDormantIsReopened) {
  pass(20, 0);
  target_here = false;
  ASSERT_EQ(pass_until_told(0).size(), 1);
  restart();
  target_here = true;
  pass(0, 0);
  const auto alerts = first_alert();
  ASSERT_TRUE(alerts[0].problem);
  EXPECT_EQ(alerts[0].problem->state, ProblemState::kDormant);
  EXPECT_EQ(alerts[0].problem->mismatched, 20);
}

// Nobody calls it: the kernel has no row of it.
TEST_F(RestoredProblemWatchTest, IsFollowedBeforeItIsCalledAgain) {
  pass(20, 0);
  restart();
  const auto look = [&] { return watch.look({}, {}, node, sources, now); };
  look();
  EXPECT_EQ(watch.status()->at(kLb).state, ProblemState::kActive);
  now += 10min;
  look();
  EXPECT_EQ(watch.status()->at(kLb).state, ProblemState::kQuiet);
  target_here = false;
  look();
  now += 1min;
  ASSERT_EQ(look().size(), 1);
  EXPECT_EQ(watch.status()->at(kLb).state, ProblemState::kDormant);
  now += 6 * 24h;
  look();
  EXPECT_EQ(watch.keep().size(), 1);
  now += 24h;
  look();
  EXPECT_THAT(watch.keep(), IsEmpty());
}

TEST_F(RestoredProblemWatchTest, OnceCalledItGoesWithItsRow) {
  pass(20, 0);
  restart();
  pass(0, 1);
  EXPECT_THAT(watch.look({}, {}, node, sources, now), IsEmpty());
  EXPECT_THAT(watch.keep(), IsEmpty());
}

TEST_F(RestoredProblemWatchTest, WhatNeverFailedIsNotKept) {
  pass(0, 20);
  EXPECT_THAT(watch.keep(), IsEmpty());
}

}  // namespace
}  // namespace hairpind
