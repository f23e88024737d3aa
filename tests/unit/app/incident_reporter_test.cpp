// SPDX-License-Identifier: Apache-2.0
#include "incident_reporter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "../core/attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::endpoint;
using testing::ip_target_attempt;
using ::testing::IsEmpty;

constexpr MonotonicTime kStart = 1000h;

hp_event record(std::uint32_t kind) {
  hp_event event{};
  event.kind = kind;
  event.time_ns = static_cast<std::uint64_t>(kStart.count());
  event.attempt.key.client = endpoint("10.0.1.10", 0).address.to_abi();
  event.attempt.key.port = 40000;
  event.attempt.lb = endpoint("10.0.5.5", 443).to_abi();
  event.attempt.synack_delivered = endpoint("10.0.1.20", 8443).to_abi();
  event.attempt.flags = HP_SYNACK_DELIVERED;
  event.attempt.cause = HP_CAUSE_HAIRPIN_IP_TARGET;
  return event;
}

class IncidentReporterTest : public ::testing::Test {
 protected:
  void see(const hp_event& event) { reporter.on_record(std::as_bytes(std::span(&event, 1)), kStart); }

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
                            60s};
  AlertContext context{.node = "n1",
                       .boot_to_wall = {},
                       .interface_name = [](std::uint32_t) { return std::nullopt; },
                       .drop_reason_name = [](std::uint32_t) { return std::nullopt; },
                       .cluster = nullptr};
};

TEST_F(IncidentReporterTest, ARecordBecomesAnAlertThatConntrackHasBeenAskedAbout) {
  see(record(HP_EVENT_MISMATCH));
  EXPECT_THAT(reporter.take_due(kStart + 199ms, context), IsEmpty());
  EXPECT_EQ(reporter.next_deadline(), kStart + 200ms);
  const auto alerts = reporter.take_due(kStart + 200ms, context);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].count, 3);
  EXPECT_EQ(alerts[0].node, "n1");
  EXPECT_EQ(alerts[0].conntrack, Conntrack::kNoEntry);
  EXPECT_EQ(alerts[0].conntrack_source, ConntrackSource::kNetlink);
  EXPECT_THAT(answered, IsEmpty()) << "the kernel side has not asked";
}

TEST_F(IncidentReporterTest, AQuestionIsAnsweredAndIsNoIncident) {
  see(record(HP_EVENT_CONNTRACK));
  EXPECT_EQ(asked.size(), 1);
  EXPECT_THAT(answered, ElementsAre(Conntrack::kNoEntry));
  EXPECT_FALSE(reporter.next_deadline());
}

TEST_F(IncidentReporterTest, WhatIsNoRecordIsCountedAndIgnored) {
  see(record(77));
  reporter.on_record({}, kStart);
  EXPECT_EQ(reporter.records_invalid(), 2);
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
  EXPECT_EQ(reporter.take_due(kStart + 1s, context).size(), 1) << "of the idle one there is nothing to tell";
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
  see(record(HP_EVENT_MISMATCH));
  EXPECT_EQ(reporter.take_untold(kStart, context).size(), 1) << "its outcome is not waited for";
  see(record(HP_EVENT_MISMATCH));
  EXPECT_THAT(reporter.take_untold(kStart + 1s, context), IsEmpty()) << "a repeat would come too soon";
}

}  // namespace
}  // namespace hairpind
