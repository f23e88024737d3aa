// SPDX-License-Identifier: Apache-2.0
#include "incident_reporter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../core/attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::ip_target_attempt;
using ::testing::IsEmpty;

constexpr SinceBoot kStart = 1000h;

Event event(EventKind kind) {
  return {.kind = kind, .time = kStart, .attempt = ip_target_attempt(), .drop_symbol = ""};
}

class IncidentReporterTest : public ::testing::Test {
 protected:
  void see(EventKind kind) { reporter.on_event(event(kind), kStart); }

  std::vector<Attempt> asked;
  std::vector<Conntrack> answered;
  IncidentReporter reporter{{.read_count = [](const IncidentKey&) { return std::optional<std::uint64_t>(3); },
                             .ask_conntrack =
                                 [this](const Attempt& attempt) {
                                   asked.push_back(attempt);
                                   return ConntrackAnswer{.conntrack = Conntrack::kNoEntry,
                                                          .source = ConntrackSource::kNetlink};
                                 },
                             .answer_conntrack = [this](const Attempt&, const ConntrackAnswer& answer) -> Result<void> {
                               answered.push_back(answer.conntrack);
                               return {};
                             }},
                            {.repeat_intervals = {60s}}};
  AlertSources sources{.node = "n1",
                       .boot_to_wall = {},
                       .interface_name = [](std::uint32_t) { return std::nullopt; },
                       .drop_reason_name = [](std::uint32_t) { return std::nullopt; },
                       .cluster = nullptr};
};

TEST_F(IncidentReporterTest, AMismatchBecomesAnAlertThatConntrackHasBeenAskedAbout) {
  see(EventKind::kMismatch);
  EXPECT_THAT(reporter.take_due(kStart + 199ms, sources), IsEmpty());
  EXPECT_EQ(reporter.next_deadline(), kStart + 200ms);
  const auto alerts = reporter.take_due(kStart + 200ms, sources);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].count, 3);
  EXPECT_EQ(alerts[0].node, "n1");
  EXPECT_EQ(alerts[0].conntrack, Conntrack::kNoEntry);
  EXPECT_EQ(alerts[0].conntrack_source, ConntrackSource::kNetlink);
  EXPECT_THAT(answered, IsEmpty()) << "the kernel side has not asked";
}

TEST_F(IncidentReporterTest, AQuestionIsAnsweredAndIsNoIncident) {
  see(EventKind::kConntrack);
  EXPECT_EQ(asked.size(), 1);
  EXPECT_THAT(answered, ElementsAre(Conntrack::kNoEntry));
  EXPECT_FALSE(reporter.next_deadline());
}

TEST_F(IncidentReporterTest, AnIncidentThatHasBeenQuietForADayStartsOver) {
  IncidentCount fresh{
      .key = IncidentKey::of(ip_target_attempt()), .count = 1, .last_event = kStart - 23h, .example = {}};
  fresh.example = ip_target_attempt();
  IncidentCount idle = fresh;
  idle.key.client = *IpAddress::parse("10.0.1.11");
  idle.last_event = kStart - 25h;
  EXPECT_THAT(reporter.on_counts({fresh, idle}, kStart), ElementsAre(idle.key));
  EXPECT_EQ(reporter.take_due(kStart + 1s, sources).size(), 1) << "of the idle one there is nothing to tell";
}

// The kernel's table has 8192 places; beyond half of them the quiet ones go, unsolicited ones first.
TEST_F(IncidentReporterTest, ACrowdedTableLosesUnsolicitedOnesThenTheOldest) {
  std::vector<IncidentCount> all;
  const auto add = [&](std::uint16_t port, Cause cause, std::chrono::nanoseconds age) {
    IncidentCount incident{.key = IncidentKey::of(ip_target_attempt()),
                           .count = 1,
                           .last_event = kStart - age,
                           .example = ip_target_attempt()};
    incident.key.responder.port = port;
    incident.key.cause = cause;
    all.push_back(incident);
    return incident.key;
  };
  const IncidentKey oldest = add(1, Cause::kHairpinIpTarget, 5h);
  const IncidentKey older = add(2, Cause::kHairpinIpTarget, 4h);
  const IncidentKey unsolicited = add(3, Cause::kUnsolicitedSynAck, 2min);
  add(4, Cause::kUnsolicitedSynAck, 30s);
  add(5, Cause::kHairpinIpTarget, 3h);
  for (std::uint16_t port = 1000; all.size() < 4096; port++) {
    add(port, Cause::kHairpinIpTarget, 10s);
  }
  EXPECT_THAT(reporter.on_counts(all, kStart), IsEmpty());
  add(6, Cause::kHairpinIpTarget, 1s);
  EXPECT_THAT(reporter.on_counts(all, kStart), ElementsAre(unsolicited));
  add(7, Cause::kHairpinIpTarget, 1s);
  add(8, Cause::kHairpinIpTarget, 1s);
  EXPECT_THAT(reporter.on_counts(all, kStart), ::testing::UnorderedElementsAre(unsolicited, oldest, older));
  for (std::uint16_t port = 10000; all.size() < 5000; port++) {
    add(port, Cause::kHairpinIpTarget, 10s);
  }
  EXPECT_EQ(reporter.on_counts(all, kStart).size(), 4) << "what has been heard of in the last minute stays";
}

TEST_F(IncidentReporterTest, AtTheEndNothingIsLeftUntoldAndNothingIsToldTwice) {
  see(EventKind::kMismatch);
  EXPECT_EQ(reporter.take_untold(kStart, sources).size(), 1) << "its outcome is not waited for";
  see(EventKind::kMismatch);
  EXPECT_THAT(reporter.take_untold(kStart + 1s, sources), IsEmpty()) << "a repeat would come too soon";
}

}  // namespace
}  // namespace hairpind
