// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/event_ring.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <vector>

namespace hairpind {
namespace {

using ::testing::ElementsAre;

hp_event record(std::uint32_t kind) {
  hp_event event{};
  event.kind = kind;
  event.time_ns = 1000;
  event.attempt.key.client = IpAddress::parse("10.0.1.10")->to_abi();
  event.attempt.key.port = 40000;
  event.attempt.lb = Endpoint{.address = *IpAddress::parse("10.0.5.5"), .port = 443}.to_abi();
  event.attempt.flags = HP_SYNACK_DELIVERED;
  event.attempt.cause = HP_CAUSE_HAIRPIN_IP_TARGET;
  return event;
}

class RecordReaderTest : public ::testing::Test {
 protected:
  void read(std::span<const std::byte> bytes) {
    records.read(
        bytes, [this](const Event& event) { kinds.push_back(event.kind); },
        [this](const CapturedPacket& packet) { lengths.push_back(packet.length); });
  }
  void read(const hp_event& event) { read(std::as_bytes(std::span(&event, 1))); }

  RecordReader records;
  std::vector<EventKind> kinds;
  std::vector<std::uint32_t> lengths;
};

TEST_F(RecordReaderTest, EventsAreHandedOnInTheirOrder) {
  read(record(HP_EVENT_MISMATCH));
  read(record(HP_EVENT_CONNTRACK));
  read(record(HP_EVENT_OUTCOME));
  EXPECT_THAT(kinds, ElementsAre(EventKind::kMismatch, EventKind::kConntrack, EventKind::kOutcome));
  EXPECT_EQ(records.malformed(), 0);
  EXPECT_FALSE(records.take_fault());
}

TEST_F(RecordReaderTest, WhatIsNoRecordIsCountedAndIgnored) {
  read(record(77));
  read(std::span<const std::byte>());
  const hp_event whole = record(HP_EVENT_MISMATCH);
  read(std::as_bytes(std::span(&whole, 1)).first(sizeof(whole) - 1));
  hp_event unknown = whole;
  unknown.attempt.cause = HP_CAUSE_COUNT;
  read(unknown);
  EXPECT_EQ(records.malformed(), 4);
  read(whole);
  EXPECT_THAT(kinds, ElementsAre(EventKind::kMismatch)) << "the next one is read as ever";
  EXPECT_EQ(records.malformed(), 4);
}

TEST_F(RecordReaderTest, PacketsAreHandedOnBesideEvents) {
  hp_packet packet{};
  packet.kind = HP_EVENT_PACKET;
  packet.length = 60;
  const auto bytes = std::as_bytes(std::span(&packet, 1));
  read(bytes);
  read(record(HP_EVENT_MISMATCH));
  EXPECT_THAT(lengths, ElementsAre(60));
  EXPECT_THAT(kinds, ElementsAre(EventKind::kMismatch));
  records.read(bytes, [](const Event&) {});
  EXPECT_EQ(records.malformed(), 0) << "nobody has to want them";
  read(bytes.first(bytes.size() - 1));
  EXPECT_EQ(records.malformed(), 1);
  EXPECT_EQ(records.take_fault(), decode_packet(bytes.first(bytes.size() - 1)).error());
}

TEST_F(RecordReaderTest, OnlyTheFirstFaultIsTold) {
  const hp_event unknown = record(77);
  read(unknown);
  read(std::span<const std::byte>());
  const auto fault = records.take_fault();
  ASSERT_TRUE(fault);
  EXPECT_EQ(*fault, decode_event(std::as_bytes(std::span(&unknown, 1))).error());
  read(record(78));
  EXPECT_FALSE(records.take_fault());
  EXPECT_EQ(records.malformed(), 3);
}

}  // namespace
}  // namespace hairpind
