// SPDX-License-Identifier: Apache-2.0
// Which packets are copied, and what of them (bpf/capture.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "hairpind/core/captured_packet.hpp"
#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::size_t kEthernetHeader = 14;

class CaptureTest : public HandshakeFamilyTest {
 protected:
  struct Records {
    std::vector<Event> events;
    std::vector<CapturedPacket> packets;

    [[nodiscard]] std::vector<Sensor> sensors() const {
      std::vector<Sensor> result;
      for (const CapturedPacket& packet : packets) {
        result.push_back(packet.sensor);
      }
      return result;
    }
  };
  [[nodiscard]] Records records() const {
    Records result;
    const auto polled = kernel->ring.poll([&](const Event& event) { result.events.push_back(event); },
                                          [&](CapturedPacket packet) { result.packets.push_back(std::move(packet)); });
    EXPECT_TRUE(polled) << polled.error().message;
    return result;
  }
  void arm(std::uint32_t attempts, const char* client = nullptr, const char* lb = nullptr) const {
    const auto armed =
        kernel->captures.set({.client = ip(client == nullptr ? a().p1 : client),
                              .load_balancer = {.address = ip(lb == nullptr ? a().lb : lb), .port = 443}},
                             attempts);
    ASSERT_TRUE(armed) << armed.error().message;
  }
  [[nodiscard]] PacketBuilder reset(std::uint16_t port = 40000, std::uint32_t isn = kIsn) const {
    return PacketBuilder().from(a().p1, port).to(a().p2, 8443).tcp(kRst, isn + 1);
  }
  // From the network header to the end, or so many bytes of it.
  static std::vector<std::uint8_t> headers(const PacketBuilder& packet, std::size_t bytes = 0) {
    const std::vector<std::uint8_t> frame = packet.build();
    const auto begin = frame.begin() + kEthernetHeader;
    return {begin, bytes == 0 ? frame.end() : begin + static_cast<std::ptrdiff_t>(bytes)};
  }
};
INSTANTIATE_TEST_SUITE_P(Families, CaptureTest, ::testing::Values(&kV4, &kV6), family_name);

TEST_P(CaptureTest, EachPacketOfAnArmedPairsNextAttemptIsCopiedWhereverItPasses) {
  arm(1);
  hairpin_ip_target(a());
  see(Hook::kFromPod, "pod1", reset());
  const Records seen = records();
  struct Expected {
    Sensor sensor;
    const char* device;
    std::uint8_t flags;
    PacketBuilder packet;
  };
  const std::vector<Expected> expected{
      {Sensor::kFromPod, "pod1", kSyn, syn(a())},
      {Sensor::kToNet, "eth0", kSyn, syn(a())},
      {Sensor::kFromNet, "eth0", kSyn, returned(a().p1, a().p2, 8443)},
      {Sensor::kFromPod, "pod2", kSyn | kAck, synack(a().p2, 8443, a().p1)},
      {Sensor::kToPod, "pod1", kSyn | kAck, synack(a().p2, 8443, a().p1)},
      {Sensor::kFromPod, "pod1", kRst, reset()},
  };
  ASSERT_THAT(seen.packets, SizeIs(expected.size()));
  SinceBoot last{};
  for (std::size_t i = 0; i < expected.size(); i++) {
    const CapturedPacket& packet = seen.packets[i];
    EXPECT_EQ(packet.sensor, expected[i].sensor) << i;
    EXPECT_EQ(packet.ifindex, ifindex_of(expected[i].device)) << i;
    EXPECT_EQ(packet.tcp_flags, expected[i].flags) << i;
    EXPECT_EQ(packet.data, headers(expected[i].packet)) << i;
    EXPECT_EQ(packet.length, headers(expected[i].packet).size()) << i;
    EXPECT_EQ(packet.attempt, (AttemptName{{ip(a().p1), 40000}, kIsn, {ip(a().lb), 443}})) << i;
    EXPECT_GE(packet.time, last) << i;
    EXPECT_LE(packet.time, monotonic_now()) << i;
    last = packet.time;
  }
  ASSERT_THAT(seen.events, SizeIs(2));
  EXPECT_EQ(seen.events[0].kind, EventKind::kMismatch);
  EXPECT_TRUE(seen.events[0].attempt.captured);
  EXPECT_EQ(seen.events[1].attempt.outcome, Outcome::kResetByClient);

  hairpin_ip_target(a(), 40001);
  EXPECT_THAT(records().packets, IsEmpty()) << "one was asked for";
}

TEST_P(CaptureTest, NothingIsCopiedOfPairsThatNobodyAskedFor) {
  arm(2, a().p2);
  arm(2, nullptr, a().other_lb);
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToNet, "eth0", syn(a()));
  see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, kIsn + 1, 8));
  const Records seen = records();
  EXPECT_THAT(seen.packets, IsEmpty());
  EXPECT_EQ(total(HP_TOTAL_EVENTS), 0) << "healthy traffic costs no event";
  EXPECT_EQ(counters(a().lb).answered, 1);
}

TEST_P(CaptureTest, AnArmedPairsHealthyAttemptIsTakenOffWhatWasAskedFor) {
  arm(1);
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, kIsn + 1, 8));
  const Records seen = records();
  EXPECT_THAT(seen.sensors(), ElementsAre(Sensor::kFromPod, Sensor::kFromNet, Sensor::kToPod, Sensor::kFromPod));
  EXPECT_THAT(seen.events, IsEmpty());
  see(Hook::kFromPod, "pod1", syn(a(), 40001, kIsn + 1000));
  EXPECT_THAT(records().packets, IsEmpty());
  arm(1);
  arm(0);
  see(Hook::kFromPod, "pod1", syn(a(), 40002, kIsn + 2000));
  EXPECT_THAT(records().packets, IsEmpty()) << "asked for no more";
}

TEST_P(CaptureTest, HeadersAreCutAtTheirEndAndNothingBehindThemIsCopied) {
  struct Shape {
    const char* description;
    PacketBuilder packet;
    std::size_t copied;
  };
  const bool v4 = GetParam() == &kV4;
  const std::size_t plain = v4 ? 40 : 60;
  const auto to_lb = [this](std::uint16_t port) { return syn(a(), port, port); };
  std::vector<Shape> shapes{
      {"plain", to_lb(1), plain},
      {"payload", to_lb(2).payload(1000), plain},
      {"TCP options", to_lb(3).tcp_options(20), plain + 20},
      {"TCP options and payload", to_lb(4).tcp_options(8).payload(3), plain + 8},
  };
  if (v4) {
    shapes.push_back({"IP options", to_lb(5).ip_options(12).payload(9), plain + 12});
    shapes.push_back({"more than fits", to_lb(6).ip_options(40).tcp_options(40).payload(100), HP_PACKET_DATA});
  } else {
    shapes.push_back({"extension header", to_lb(5).extension_header(0).payload(9), plain + 8});
    shapes.push_back({"more than fits", to_lb(6).extension_header(0).extension_header(60).tcp_options(40).payload(100),
                      HP_PACKET_DATA});
  }
  arm(100);
  for (const Shape& shape : shapes) {
    see(Hook::kFromPod, "pod1", shape.packet);
    const Records seen = records();
    ASSERT_THAT(seen.packets, SizeIs(1)) << shape.description;
    EXPECT_EQ(seen.packets[0].data, headers(shape.packet, shape.copied)) << shape.description;
    EXPECT_EQ(seen.packets[0].length, headers(shape.packet).size()) << shape.description;
  }
  // A tag inside the frame is no part of the packet.
  see(Hook::kFromPod, "pod1", to_lb(7).vlan(0x8100));
  const Records tagged = records();
  ASSERT_THAT(tagged.packets, SizeIs(1));
  EXPECT_EQ(tagged.packets[0].data, headers(to_lb(7)));
  // A frame's padding is none of the packet either, even if the packet says that its header goes on.
  std::vector<std::uint8_t> padded = to_lb(8).build();
  const std::size_t length = padded.size() - kEthernetHeader;
  padded.at(kEthernetHeader + length - 8) = 15U << 4U;
  padded.insert(padded.end(), 100, 'p');
  pass(Hook::kFromPod, "pod1", padded);
  const Records short_one = records();
  ASSERT_THAT(short_one.packets, SizeIs(1));
  EXPECT_THAT(short_one.packets[0].data, SizeIs(length));
  EXPECT_EQ(short_one.packets[0].length, length);
}

TEST_P(CaptureTest, NoMoreThanSixteenPacketsOfAnAttemptAreCopied) {
  arm(1);
  for (int i = 0; i < 40; i++) {
    see(Hook::kFromPod, "pod1", syn(a()));
  }
  EXPECT_THAT(records().packets, SizeIs(HP_PACKETS_AN_ATTEMPT));
  hairpin_ip_target(a());
  const Records seen = records();
  EXPECT_THAT(seen.packets, IsEmpty());
  EXPECT_THAT(seen.events, SizeIs(1)) << "what becomes of it is told all the same";
}

TEST_P(CaptureTest, OfAnIncidentsFirstAttemptWhatStillComesIsCopied) {
  hairpin_ip_target(a());
  const Records first = records();
  ASSERT_THAT(first.events, SizeIs(1));
  EXPECT_TRUE(first.events[0].attempt.captured);
  EXPECT_THAT(first.sensors(), ElementsAre(Sensor::kToPod)) << "the packet that told";
  see(Hook::kFromPod, "pod1", reset());
  hairpin_ip_target(a());
  EXPECT_THAT(records().sensors(), ElementsAre(Sensor::kFromPod, Sensor::kFromPod, Sensor::kToNet, Sensor::kFromNet,
                                               Sensor::kFromPod, Sensor::kToPod));

  hairpin_ip_target(a(), 40001, kIsn + 1000);
  see(Hook::kFromPod, "pod1", reset(40001, kIsn + 1000));
  EXPECT_THAT(records().packets, IsEmpty()) << "the second is asked for, or not";
}

TEST_P(CaptureTest, ADeviceThatFailsWithManyPairsHasNotEachOnesFirstAttemptCopied) {
  constexpr std::uint16_t kPairs = 100;
  for (std::uint16_t pair = 0; pair < kPairs; pair++) {
    const auto port = static_cast<std::uint16_t>(1000 + pair);
    see(Hook::kFromPod, "pod1", syn(a(), port, port));
    see(Hook::kToPod, "pod1", synack(a().elsewhere, port, a().p1, port, port));
  }
  EXPECT_THAT(records().packets, SizeIs(16));
}

TEST_P(CaptureTest, AMismatchOfACapturedAttemptIsToldWhateverHasBeenToldThatSecond) {
  arm(3);
  for (std::uint16_t i = 0; i < 3; i++) {
    hairpin_ip_target(a(), static_cast<std::uint16_t>(40000 + i), kIsn + 1000 * i);
  }
  std::vector<std::uint16_t> told;
  for (const Event& event : records().events) {
    EXPECT_EQ(event.kind, EventKind::kMismatch);
    told.push_back(event.attempt.client.port);
  }
  EXPECT_THAT(told, ElementsAre(40000, 40001, 40002));
}

TEST_P(CaptureTest, WhatFindsNoRoomIsCounted) {
  load({.ring_bytes = 4096});
  arm(10);
  constexpr std::uint16_t kSent = 10 * HP_PACKETS_AN_ATTEMPT;
  for (std::uint16_t i = 0; i < kSent; i++) {
    const auto attempt = static_cast<std::uint16_t>(i / HP_PACKETS_AN_ATTEMPT);
    see(Hook::kFromPod, "pod1", syn(a(), static_cast<std::uint16_t>(40000 + attempt), kIsn + attempt));
  }
  const std::size_t copied = records().packets.size();
  EXPECT_GT(total(HP_TOTAL_RING_FULL), 0);
  EXPECT_EQ(total(HP_TOTAL_RING_FULL) + copied, kSent);
  EXPECT_EQ(total(HP_TOTAL_EVENTS), copied);
}

TEST_P(CaptureTest, WhatAnotherPodSendsInTheirNamesIsNotCopied) {
  arm(1);
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443));
  ASSERT_THAT(records().packets, SizeIs(2));
  see(Hook::kFromPod, "pod2", syn(a()));
  see(Hook::kFromPod, "pod2", reset());
  see(Hook::kFromPod, "pod2", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, kIsn + 1, 8));
  see(Hook::kFromPod, "pod1", synack(a().p2, 8443, a().p1));
  EXPECT_THAT(records().packets, IsEmpty());
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kFromPod, "pod1", synack(a().p2, 8443, a().p1));
  EXPECT_THAT(records().packets, SizeIs(1)) << "the target's own";
  see(Hook::kToPod, "pod2", synack(a().p2, 8443, a().p1));
  EXPECT_THAT(records().packets, IsEmpty()) << "flooded to another";
}

TEST_P(CaptureTest, UnderWhateverNamePacketsGoTheyAreTheAttempts) {
  arm(1);
  const auto leaving = PacketBuilder().from(a().node, 50000).to(a().lb, 443).tcp(kSyn, kIsn);
  const auto masqueraded = synack(a().p2, 8443, a().node, 1024);
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToNet, "eth0", leaving);
  see(Hook::kFromNet, "eth0", returned(a().node, a().node, 30443, 50000));
  see(Hook::kFromPod, "pod2", masqueraded);
  see(Hook::kFromPod, "pod2", masqueraded);
  see(Hook::kToNet, "eth0", returned(a().node, a().elsewhere, 8443, 1024));
  const Records seen = records();
  EXPECT_THAT(seen.sensors(), ElementsAre(Sensor::kFromPod, Sensor::kToNet, Sensor::kFromNet, Sensor::kFromPod,
                                          Sensor::kFromPod, Sensor::kToNet));
  for (const CapturedPacket& packet : seen.packets) {
    EXPECT_EQ(packet.attempt.client, (Endpoint{ip(a().p1), 40000}));
  }
  ASSERT_THAT(seen.packets, SizeIs(6));
  EXPECT_EQ(seen.packets[1].data, headers(leaving)) << "as it was";
  EXPECT_EQ(seen.packets[3].data, headers(masqueraded));
}

TEST_P(CaptureTest, ClientsOnTheNodeItselfAreCopiedOnTheUplink) {
  arm(1, a().node);
  const auto host_syn = PacketBuilder().from(a().node, 50001).to(a().lb, 443).tcp(kSyn, kIsn);
  const auto answer = synack(a().elsewhere, 8443, a().node, 50001);
  see(Hook::kToNet, "eth0", host_syn);
  see(Hook::kToNet, "eth0", host_syn);
  see(Hook::kFromNet, "eth0", answer);
  const Records seen = records();
  EXPECT_THAT(seen.sensors(), ElementsAre(Sensor::kToNet, Sensor::kToNet, Sensor::kFromNet));
  EXPECT_EQ(seen.packets.at(2).data, headers(answer));
  EXPECT_THAT(seen.events, SizeIs(1));
}

TEST_P(CaptureTest, OfALoadBalancerThatNobodyNamesFromItsFirstPacketOn) {
  const char* const unnamed = GetParam() == &kV4 ? "10.0.7.7" : "fd00:7::7";
  arm(1, nullptr, unnamed);
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(unnamed, 443).tcp(kSyn, kIsn));
  EXPECT_THAT(records().packets, IsEmpty());
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  EXPECT_THAT(records().sensors(), ElementsAre(Sensor::kFromNet, Sensor::kFromPod));
}

// The test run's end of a packet is a drop to the kernel.
TEST_P(CaptureTest, OfADropTheReasonIsTold) {
  if (!KernelFeatures::probe().has(Feature::kDropReasons)) {
    GTEST_SKIP() << "kfree_skb tells no reason here (5.17)";
  }
  load({}, KernelFeatures::probe().without(Feature::kResetTracepoint));
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443));
  EXPECT_THAT(records().packets, IsEmpty()) << "of what nobody asked for";
  arm(1);
  const PacketBuilder back = returned(a().p1, a().p2, 8443, 40001, kIsn + 1000);
  see(Hook::kFromPod, "pod1", syn(a(), 40001, kIsn + 1000));
  see(Hook::kFromNet, "eth0", back);
  const Records seen = records();
  ASSERT_THAT(seen.sensors(), ElementsAre(Sensor::kFromPod, Sensor::kDrop, Sensor::kFromNet, Sensor::kDrop));
  const CapturedPacket& drop = seen.packets[3];
  EXPECT_EQ(drop.tcp_flags, kSyn);
  EXPECT_NE(drop.drop_reason, 0);
  EXPECT_THAT(drop.data, IsEmpty());
  EXPECT_EQ(drop.length, 0);
  EXPECT_EQ(drop.ifindex, 0);
}

}  // namespace
}  // namespace hairpind::testing
