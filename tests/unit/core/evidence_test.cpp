// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/evidence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::endpoint;
using testing::ip_target_attempt;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr SinceBoot kStart = 1000s;
const CallingPair kPair{.client = *IpAddress::parse("10.0.1.10"), .load_balancer = endpoint("10.0.5.5", 443)};

class EvidenceCollectorTest : public ::testing::Test {
 protected:
  static Attempt attempt(std::uint16_t port, bool captured = true) {
    Attempt result = ip_target_attempt(port, port);
    result.captured = captured;
    return result;
  }
  void mismatch(const Attempt& attempt, SinceBoot now) {
    collector.on_event({.kind = EventKind::kMismatch, .time = now, .attempt = attempt, .drop_symbol = ""}, now);
  }
  void packet(const Attempt& attempt, SinceBoot now, Sensor sensor = Sensor::kFromPod) {
    CapturedPacket packet;
    packet.attempt = AttemptName::of(attempt);
    packet.time = now;
    packet.sensor = sensor;
    collector.on_packet(packet, now);
  }
  // An armed attempt that fails; its evidence, if it is told.
  std::vector<Evidence> fail(std::uint16_t port, SinceBoot now) {
    packet(attempt(port), now);
    mismatch(attempt(port), now);
    return collector.take_due(now + EvidenceCollector::kGathering);
  }
  std::vector<std::pair<CallingPair, std::uint32_t>> turn(SinceBoot now) {
    collector.on_turn(now);
    return collector.take_orders();
  }

  EvidenceCollector collector;
};

TEST_F(EvidenceCollectorTest, AnAttemptsPacketsAreToldTogetherInTheirOrder) {
  packet(attempt(1), kStart + 2ms, Sensor::kFromNet);
  packet(attempt(1), kStart + 1ms, Sensor::kFromPod);
  packet(attempt(2), kStart + 1ms, Sensor::kToNet);
  EXPECT_EQ(collector.next_deadline(), std::nullopt);
  mismatch(attempt(1), kStart + 3ms);
  packet(attempt(1), kStart + 4ms, Sensor::kReset);
  Attempt refused = attempt(1);
  refused.outcome = Outcome::kResetByClient;
  collector.on_event({.kind = EventKind::kOutcome, .time = kStart + 4ms, .attempt = refused, .drop_symbol = "f"},
                     kStart + 4ms);
  collector.on_event({.kind = EventKind::kOutcome, .time = kStart + 4ms, .attempt = attempt(2), .drop_symbol = "g"},
                     kStart + 4ms);
  ASSERT_EQ(collector.next_deadline(), kStart + 3ms + EvidenceCollector::kGathering);
  EXPECT_LE(EvidenceCollector::kGathering, 5s);
  EXPECT_THAT(collector.take_due(kStart + 1s), IsEmpty());
  const auto told = collector.take_due(kStart + 3ms + EvidenceCollector::kGathering);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].mismatch.attempt.client.port, 1);
  EXPECT_EQ(told[0].mismatch.attempt.outcome, Outcome::kResetByClient);
  EXPECT_EQ(told[0].mismatch.drop_symbol, "f");
  ASSERT_THAT(told[0].packets, SizeIs(3));
  EXPECT_EQ(told[0].packets[0].sensor, Sensor::kFromPod);
  EXPECT_EQ(told[0].packets[1].sensor, Sensor::kFromNet);
  EXPECT_EQ(told[0].packets[2].sensor, Sensor::kReset);
  EXPECT_EQ(collector.next_deadline(), std::nullopt);
  packet(attempt(1), kStart + 3s);
  EXPECT_THAT(collector.take_due(kStart + 100s), IsEmpty()) << "once";
}

TEST_F(EvidenceCollectorTest, AnAttemptIsOneHoweverOftenItIsFoundMisdirected) {
  packet(attempt(1), kStart);
  mismatch(attempt(1), kStart);
  mismatch(attempt(1), kStart + 1s);
  EXPECT_THAT(collector.take_due(kStart + 2s), SizeIs(1));
  EXPECT_THAT(fail(2, kStart + 3s), SizeIs(1));
}

TEST_F(EvidenceCollectorTest, WhatIsDueAtOnceComesInTheOrderOfTheVerdicts) {
  for (const std::uint16_t port : std::to_array<std::uint16_t>({2, 1})) {
    packet(attempt(port), kStart);
    mismatch(attempt(port), kStart + (port == 2 ? 1ms : 2ms));
  }
  const auto told = collector.take_due(kStart + 10s);
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0].mismatch.attempt.client.port, 2);
  EXPECT_EQ(told[1].mismatch.attempt.client.port, 1);
}

TEST_F(EvidenceCollectorTest, WhatTheLoopIsLateForIsNotLost) {
  packet(attempt(1), kStart);
  collector.on_turn(kStart + 9s);
  mismatch(attempt(1), kStart + 9s);
  collector.on_turn(kStart + 60s);
  EXPECT_THAT(collector.take_due(kStart + 60s), SizeIs(1));
}

TEST_F(EvidenceCollectorTest, WhatWasNotMisdirectedIsDropped) {
  packet(attempt(1), kStart);
  EXPECT_THAT(collector.take_due(kStart + 100s), IsEmpty());
  collector.on_turn(kStart + 10s);
  mismatch(attempt(1), kStart + 11s);
  EXPECT_THAT(collector.take_due(kStart + 100s), IsEmpty()) << "its packets have been given up";
}

TEST_F(EvidenceCollectorTest, AnIncidentsPairIsOrderedUntilItHasItsEvidence) {
  mismatch(attempt(1, false), kStart);
  EXPECT_THAT(collector.take_orders(), ElementsAre(Pair(kPair, 1)));
  mismatch(attempt(2, false), kStart + 1s);
  EXPECT_THAT(collector.take_orders(), IsEmpty()) << "it is";
  EXPECT_THAT(fail(3, kStart + 2s), SizeIs(1));
  EXPECT_THAT(collector.take_orders(), IsEmpty()) << "one more is wanted";
  EXPECT_THAT(fail(4, kStart + 3s), SizeIs(1));
  EXPECT_THAT(collector.take_orders(), ElementsAre(Pair(kPair, 0)));
  EXPECT_THAT(fail(5, kStart + 4s), IsEmpty()) << "two an hour";
  EXPECT_THAT(turn(kStart + 40s), IsEmpty());
}

TEST_F(EvidenceCollectorTest, WhatAnotherPairLacksIsOrderedOfThatAlone) {
  Attempt elsewhere = attempt(1, false);
  elsewhere.load_balancer = endpoint("10.0.5.6", 443);
  mismatch(elsewhere, kStart);
  Attempt neighbour = attempt(1, false);
  neighbour.client.address = *IpAddress::parse("10.0.1.11");
  mismatch(neighbour, kStart);
  static_cast<void>(collector.take_orders());
  fail(1, kStart + 1s);
  EXPECT_THAT(collector.take_orders(), ElementsAre(Pair(kPair, 1)));
  fail(2, kStart + 2s);
  EXPECT_THAT(collector.take_orders(), ElementsAre(Pair(kPair, 0)));
}

TEST_F(EvidenceCollectorTest, AfterAnHourThereMayBeMore) {
  fail(1, kStart);
  fail(2, kStart + 1s);
  static_cast<void>(collector.take_orders());
  mismatch(attempt(3, false), kStart + 59min);
  EXPECT_THAT(collector.take_orders(), IsEmpty());
  mismatch(attempt(4, false), kStart + 61min);
  EXPECT_THAT(collector.take_orders(), ElementsAre(Pair(kPair, 1)));
  EXPECT_THAT(fail(5, kStart + 62min), SizeIs(1));
  EXPECT_THAT(fail(6, kStart + 63min), SizeIs(1));
  EXPECT_THAT(fail(7, kStart + 64min), IsEmpty());
}

TEST_F(EvidenceCollectorTest, WhereMostAttemptsTurnOutWellMoreAreOrdered) {
  mismatch(attempt(1, false), kStart);
  static_cast<void>(collector.take_orders());
  EXPECT_THAT(turn(kStart + 1s), IsEmpty()) << "it has not called";
  std::uint16_t port = 100;
  for (const std::uint32_t expected : {2U, 4U, 8U, 8U}) {
    packet(attempt(port), kStart + std::chrono::seconds(port));
    EXPECT_THAT(turn(kStart + std::chrono::seconds(port)), ElementsAre(Pair(kPair, expected)));
    port++;
  }
  packet(attempt(103), kStart + 110s);
  EXPECT_THAT(turn(kStart + 110s), IsEmpty()) << "a retransmit is no other attempt";
}

TEST_F(EvidenceCollectorTest, AnOrderThatWasLostIsGivenAgain) {
  mismatch(attempt(1, false), kStart);
  static_cast<void>(collector.take_orders());
  EXPECT_THAT(turn(kStart + 29s), IsEmpty());
  EXPECT_THAT(turn(kStart + 30s), ElementsAre(Pair(kPair, 1)));
}

TEST_F(EvidenceCollectorTest, WhoHasNotFailedForAnHourIsLeftAlone) {
  mismatch(attempt(1, false), kStart);
  static_cast<void>(collector.take_orders());
  EXPECT_THAT(turn(kStart + 59min), ElementsAre(Pair(kPair, 1)));
  EXPECT_THAT(turn(kStart + 1h), ElementsAre(Pair(kPair, 0)));
  EXPECT_THAT(turn(kStart + 2h), IsEmpty());
}

TEST_F(EvidenceCollectorTest, WhoGoesOnFailingIsNotLeftAlone) {
  mismatch(attempt(1, false), kStart);
  mismatch(attempt(2, false), kStart + 50min);
  static_cast<void>(collector.take_orders());
  EXPECT_THAT(turn(kStart + 61min), ElementsAre(Pair(kPair, 1)));
}

TEST_F(EvidenceCollectorTest, AnAttemptOfWhichNothingCameMakesRoomForAnother) {
  mismatch(attempt(1), kStart);
  EXPECT_THAT(collector.take_due(kStart + 2s), IsEmpty());
  EXPECT_THAT(fail(2, kStart + 3s), SizeIs(1));
  EXPECT_THAT(fail(3, kStart + 4s), SizeIs(1));
  EXPECT_THAT(fail(4, kStart + 5s), IsEmpty());
}

TEST_F(EvidenceCollectorTest, TwoIncidentsOfOnePairHaveEachItsOwn) {
  const auto other = [](std::uint16_t port) {
    Attempt result = attempt(port);
    result.responder = endpoint("10.0.1.21", 8443);
    return result;
  };
  fail(1, kStart);
  fail(2, kStart);
  static_cast<void>(collector.take_orders());
  packet(other(3), kStart + 1s);
  mismatch(other(3), kStart + 1s);
  EXPECT_THAT(collector.take_orders(), ElementsAre(Pair(kPair, 1)));
  const auto told = fail(4, kStart + 1s);
  ASSERT_THAT(told, SizeIs(1)) << "the first has had its share";
  EXPECT_EQ(told[0].mismatch.attempt.client.port, 3);
}

TEST_F(EvidenceCollectorTest, WhoseNameAnotherUsesIsNotWatchedForIt) {
  Attempt unsolicited = attempt(1);
  unsolicited.cause = Cause::kUnsolicitedSynAck;
  mismatch(unsolicited, kStart);
  packet(unsolicited, kStart);
  EXPECT_THAT(collector.take_orders(), IsEmpty());
  EXPECT_THAT(collector.take_due(kStart + 2s), SizeIs(1)) << "what is there is shown";
}

TEST_F(EvidenceCollectorTest, PairsAttemptsAndPacketsAreBounded) {
  std::size_t ordered = 0;
  std::size_t cancelled = 0;
  for (std::uint8_t i = 0; i < 100; i++) {
    Attempt one = attempt(1, false);
    one.client.address = *IpAddress::parse("10.1.0." + std::to_string(i));
    mismatch(one, kStart + std::chrono::seconds(i));
  }
  const auto oldest = [&](const CallingPair& pair) { return pair.client < *IpAddress::parse("10.1.0.36"); };
  static_assert(EvidenceCollector::kPairs == 64);
  for (const auto& [pair, attempts] : collector.take_orders()) {
    attempts == 0 ? cancelled++ : ordered++;
    EXPECT_EQ(attempts == 0, oldest(pair)) << pair.client.to_string();
  }
  EXPECT_EQ(ordered, EvidenceCollector::kPairs);
  EXPECT_EQ(cancelled, 100 - EvidenceCollector::kPairs);

  // Whoever is to be told of stays, whatever else comes.
  packet(attempt(1), kStart + 200s);
  mismatch(attempt(1), kStart + 200s);
  for (std::uint16_t port = 1000; port < 2000; port++) {
    packet(attempt(port), kStart + 200s);
  }
  for (int i = 0; i < 100; i++) {
    packet(attempt(1), kStart + 200s);
  }
  const auto told = collector.take_due(kStart + 202s);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_GE(told[0].packets.size(), HP_PACKETS_AN_ATTEMPT) << "all that the kernel side is to copy";
  EXPECT_LE(told[0].packets.size(), HP_PACKETS_AN_ATTEMPT + 2);
}

TEST_F(EvidenceCollectorTest, WhoIsNotToBeToldOfMakesRoom) {
  packet(attempt(1), kStart);
  mismatch(attempt(1), kStart);
  for (std::uint16_t port = 1000; port < 1000 + EvidenceCollector::kAttempts; port++) {
    packet(attempt(port), kStart + 1ms);
  }
  packet(attempt(2), kStart + 2ms);
  mismatch(attempt(2), kStart + 3ms);
  EXPECT_THAT(collector.take_due(kStart + 10s), SizeIs(2));
}

TEST_F(EvidenceCollectorTest, WhereAllAreToBeToldOfOneMoreIsNot) {
  const auto of = [](std::size_t number) {
    Attempt one = attempt(static_cast<std::uint16_t>(1000 + number));
    one.responder.port = static_cast<std::uint16_t>(1 + number / EvidenceCollector::kAttemptsAPeriod);
    return one;
  };
  for (std::size_t i = 0; i <= EvidenceCollector::kAttempts; i++) {
    packet(of(i), kStart + std::chrono::milliseconds(i));
    mismatch(of(i), kStart + std::chrono::milliseconds(i));
  }
  const auto told = collector.take_due(kStart + 10s);
  ASSERT_THAT(told, SizeIs(EvidenceCollector::kAttempts));
  EXPECT_EQ(told.front().mismatch.attempt.client.port, 1000) << "who came first stays";
}

TEST_F(EvidenceCollectorTest, OfTooManyIncidentsTheOldestIsForgotten) {
  fail(1, kStart);
  fail(2, kStart);
  for (std::size_t i = 0; i < EvidenceCollector::kIncidents; i++) {
    EXPECT_THAT(fail(3, kStart + 1s), IsEmpty()) << i;
    Attempt other = attempt(4, false);
    other.responder.port = static_cast<std::uint16_t>(i + 1);
    mismatch(other, kStart + 2s + std::chrono::milliseconds(i));
  }
  EXPECT_THAT(fail(5, kStart + 10s), SizeIs(1));
}

}  // namespace
}  // namespace hairpind
