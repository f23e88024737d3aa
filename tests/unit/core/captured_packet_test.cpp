// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/captured_packet.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace hairpind {
namespace {

hp_packet raw_packet() {
  hp_packet packet{};
  packet.kind = HP_EVENT_PACKET;
  packet.ifindex = 7;
  packet.time_ns = 1'000'000'001;
  packet.attempt.client = IpAddress::parse("10.0.1.10")->to_abi();
  packet.attempt.port = 0x409c;  // 40000, as on the wire
  packet.attempt.isn = 5;
  packet.lb = Endpoint{.address = *IpAddress::parse("10.0.5.5"), .port = 443}.to_abi();
  packet.length = 60;
  packet.drop_reason = 8;
  packet.sensor = HP_SENSOR_FROM_NET;
  packet.tcp_flags = 0x12;
  packet.data_length = 3;
  packet.data[0] = 0x45;
  packet.data[2] = 0xff;
  packet.data[3] = 0x77;
  return packet;
}

std::span<const std::byte> bytes_of(const hp_packet& packet) {
  return std::as_bytes(std::span(&packet, 1));
}

TEST(DecodePacket, TakesEveryField) {
  const hp_packet raw = raw_packet();
  ASSERT_TRUE(is_packet(bytes_of(raw)));
  const auto packet = decode_packet(bytes_of(raw));
  ASSERT_TRUE(packet) << packet.error();
  EXPECT_EQ(packet->attempt.client.to_string(), "10.0.1.10:40000");
  EXPECT_EQ(packet->attempt.isn, 5);
  EXPECT_EQ(packet->attempt.load_balancer.to_string(), "10.0.5.5:443");
  EXPECT_EQ(packet->time, SinceBoot(1'000'000'001));
  EXPECT_EQ(packet->sensor, Sensor::kFromNet);
  EXPECT_EQ(packet->ifindex, 7);
  EXPECT_EQ(packet->length, 60);
  EXPECT_EQ(packet->drop_reason, 8);
  EXPECT_EQ(packet->tcp_flags, 0x12);
  EXPECT_THAT(packet->data, ::testing::ElementsAre(0x45, 0, 0xff)) << "what is behind them is none of it";
}

TEST(DecodePacket, RefusesWhatIsNone) {
  const hp_packet whole = raw_packet();
  for (std::size_t size = 0; size < sizeof(whole); size++) {
    EXPECT_FALSE(decode_packet(bytes_of(whole).first(size))) << size;
    EXPECT_EQ(is_packet(bytes_of(whole).first(size)), size >= 4) << size;
  }
  hp_packet packet = whole;
  packet.sensor = HP_SENSOR_COUNT;
  EXPECT_FALSE(decode_packet(bytes_of(packet)));
  packet = whole;
  packet.data_length = HP_PACKET_DATA;
  EXPECT_EQ(decode_packet(bytes_of(packet))->data.size(), HP_PACKET_DATA);
  packet.data_length = HP_PACKET_DATA + 1;
  EXPECT_FALSE(decode_packet(bytes_of(packet)));
  packet = whole;
  packet.kind = HP_EVENT_MISMATCH;
  EXPECT_FALSE(is_packet(bytes_of(packet)));
}

}  // namespace
}  // namespace hairpind
