// SPDX-License-Identifier: Apache-2.0
// What happens where tables and the ring are full (bpf/attempt_table.h, bpf/pending.h, bpf/emit.h).
#include <gtest/gtest.h>

#include <array>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

TEST_F(HandshakeTest, AFullTableTakesNewAttemptsInPlaceOfOldOnes) {
  load({.pending_syns = 64});
  constexpr std::uint16_t kAttempts = 1000;
  for (std::uint16_t i = 0; i < kAttempts; i++) {
    const auto port = static_cast<std::uint16_t>(1000 + i);
    see(Hook::kFromPod, "pod1", syn(kV4, port, i));
    see(Hook::kFromPod, "pod1", syn(kV4, port, i));
  }
  EXPECT_EQ(counters(kV4.lb).syns, kAttempts);
  EXPECT_EQ(counters(kV4.lb).syn_retransmits, kAttempts) << "the newest is there";
  for (std::uint16_t i = 0; i < kAttempts; i++) {
    see(Hook::kToPod, "pod1", synack(kV4.lb, 443, kV4.p1, static_cast<std::uint16_t>(1000 + i), i));
  }
  EXPECT_GE(counters(kV4.lb).answered, 32);
  EXPECT_LE(counters(kV4.lb).answered, 64);
  EXPECT_EQ(total(HP_TOTAL_PENDING_FAILED), 0);
}

TEST_F(HandshakeTest, DecidedAttemptsGoFirst) {
  load({.pending_syns = 4});
  see(Hook::kFromPod, "pod1", syn(kV4, 1000, 1000));
  for (const std::uint16_t decided : std::to_array<std::uint16_t>({1001, 1002, 1003})) {
    hairpin_ip_target(kV4, decided, decided);
  }
  for (const std::uint16_t fresh : std::to_array<std::uint16_t>({1004, 1005, 1006})) {
    see(Hook::kFromPod, "pod1", syn(kV4, fresh, fresh));
  }
  for (const std::uint16_t undecided : std::to_array<std::uint16_t>({1000, 1004, 1005, 1006})) {
    see(Hook::kToPod, "pod1", synack(kV4.lb, 443, kV4.p1, undecided, undecided));
  }
  EXPECT_EQ(counters(kV4.lb).answered, 4);
  EXPECT_EQ(counters(kV4.lb).mismatched, 3);
}

TEST_F(HandshakeTest, AnswersMakeRoom) {
  load({.pending_syns = 2});
  constexpr std::uint16_t kAttempts = 100;
  see(Hook::kFromPod, "pod1", syn(kV4, 999, 999));
  for (std::uint16_t port = 1000; port < 1000 + kAttempts; port++) {
    see(Hook::kFromPod, "pod1", syn(kV4, port, port));
    see(Hook::kToPod, "pod1", synack(kV4.lb, 443, kV4.p1, port, port));
  }
  see(Hook::kToPod, "pod1", synack(kV4.lb, 443, kV4.p1, 999, 999));
  EXPECT_EQ(counters(kV4.lb).answered, kAttempts + 1) << "the first was never given up for another";
}

// As little as the option allows.
TEST_F(HandshakeTest, OnePlaceIsEnoughForOneAttemptAfterTheOther) {
  load({.pending_syns = 1});
  for (const std::uint16_t port : std::to_array<std::uint16_t>({1000, 1001, 1002})) {
    hairpin_ip_target(kV4, port, port);
  }
  EXPECT_EQ(counters(kV4.lb).mismatched, 3);
  EXPECT_EQ(total(HP_TOTAL_PENDING_FAILED), 0);
}

TEST_F(HandshakeTest, CountsStayExactWhenTheRingIsFull) {
  load({.ring_bytes = 4096});
  constexpr std::uint16_t kPairs = 100;
  for (std::uint16_t pair = 0; pair < kPairs; pair++) {
    for (std::uint16_t i = 0; i < 3; i++) {
      const auto port = static_cast<std::uint16_t>(1000 + pair * 3 + i);
      see(Hook::kFromPod, "pod1", syn(kV4, port, port));
      see(Hook::kToPod, "pod1", synack(kV4.elsewhere, static_cast<std::uint16_t>(20000 + pair), kV4.p1, port, port));
    }
  }
  EXPECT_EQ(counters(kV4.lb).mismatched, kPairs * 3);
  EXPECT_GT(total(HP_TOTAL_RING_FULL), 0);
  EXPECT_LE(total(HP_TOTAL_RING_FULL), kPairs) << "one sample a second and pair, lost or not";
  const auto incidents = counts->read_incidents();
  ASSERT_EQ(incidents->size(), kPairs);
  for (const IncidentCount& incident : *incidents) {
    EXPECT_EQ(incident.count, 3);
    EXPECT_EQ(incident.example.load_balancer, (Endpoint{ip(kV4.lb), 443})) << "an alert can be made without the ring";
  }
}

TEST_F(HandshakeTest, MismatchesBeyondTheIncidentsAreCountedByCause) {
  constexpr std::uint32_t kPairs = 9000;  // of 8192 incidents
  for (std::uint32_t pair = 0; pair < kPairs; pair++) {
    const auto port = static_cast<std::uint16_t>(1000 + pair);
    see(Hook::kFromPod, "pod1", syn(kV4, port, pair));
    see(Hook::kToPod, "pod1", synack(kV4.elsewhere, port, kV4.p1, port, pair));
  }
  const auto incidents = counts->read_incidents();
  ASSERT_TRUE(incidents);
  const std::uint64_t unpaired = counters(kV4.lb).unpaired[HP_CAUSE_ASYMMETRIC_REMOTE];
  EXPECT_GT(unpaired, 0);
  EXPECT_EQ(incidents->size() + unpaired, kPairs);
  EXPECT_EQ(counters(kV4.lb).mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], kPairs);
  EXPECT_EQ(total(HP_TOTAL_INCIDENTS_FULL), unpaired);
}

}  // namespace
}  // namespace hairpind::testing
