// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/compose_evidence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "attempts.hpp"

namespace hairpind {
namespace {

using testing::ip_target_attempt;

TEST(ComposeEvidence, ShowsEachPacketWhereItWasSeen) {
  const AlertSources sources{.node = "n1",
                             .boot_to_wall = std::chrono::hours(10),
                             .interface_name = [](std::uint32_t ifindex) -> std::optional<std::string> {
                               return ifindex == 9 ? std::nullopt : std::optional("veth" + std::to_string(ifindex));
                             },
                             .drop_reason_name = [](std::uint32_t reason) -> std::optional<std::string> {
                               return reason == 8 ? std::optional<std::string>("NETFILTER_DROP") : std::nullopt;
                             }};
  Evidence evidence;
  evidence.mismatch.attempt = ip_target_attempt();
  evidence.mismatch.attempt.outcome = Outcome::kResetByClient;
  evidence.mismatch.time = std::chrono::seconds(1);
  CapturedPacket packet;
  packet.time = std::chrono::seconds(1);
  packet.ifindex = 1;
  packet.length = 60;
  packet.data = {0x45, 0x00};
  evidence.packets.push_back(packet);
  packet.ifindex = 9;
  evidence.packets.push_back(packet);
  packet = {};
  packet.sensor = Sensor::kDrop;
  packet.drop_reason = 8;
  packet.tcp_flags = 0x12;
  evidence.packets.push_back(packet);
  packet.tcp_flags = 0x02;
  packet.drop_reason = 9;
  evidence.packets.push_back(packet);
  packet.sensor = Sensor::kReset;
  packet.tcp_flags = 0x12;
  packet.drop_reason = 8;
  evidence.packets.push_back(packet);

  const Alert alert = compose_evidence(evidence, 12, sources);
  EXPECT_EQ(alert.event, AlertEvent::kAsymmetricHandshakeEvidence);
  EXPECT_EQ(alert.severity, Severity::kInfo) << "the incident's alert has called already";
  EXPECT_EQ(alert.incident, IncidentKey::of(evidence.mismatch.attempt).id());
  EXPECT_EQ(alert.count, 12);
  EXPECT_THAT(alert.message, ::testing::StartsWith("5 sightings of its packets: SYN from 10.0.1.10:37762"));
  ASSERT_EQ(alert.packets.size(), 5);
  EXPECT_EQ(alert.packets[0].time, WallTime(std::chrono::hours(10) + std::chrono::seconds(1)));
  EXPECT_EQ(alert.packets[0].interface, "veth1");
  EXPECT_EQ(alert.packets[0].length, 60);
  EXPECT_EQ(alert.packets[0].data, (std::vector<std::uint8_t>{0x45, 0x00}));
  EXPECT_EQ(alert.packets[0].note, "");
  EXPECT_EQ(alert.packets[0].reason, std::nullopt);
  EXPECT_EQ(alert.packets[1].interface, std::nullopt) << "gone since";
  EXPECT_EQ(alert.packets[2].interface, std::nullopt) << "a sensor has none to tell";
  EXPECT_EQ(alert.packets[2].note, "the kernel dropped the SYN-ACK");
  EXPECT_EQ(alert.packets[2].reason, "NETFILTER_DROP");
  EXPECT_EQ(alert.packets[3].note, "the kernel dropped the SYN");
  EXPECT_EQ(alert.packets[3].reason, std::nullopt);
  EXPECT_EQ(alert.packets[4].note, "the client's stack answers the SYN-ACK with RST");
  EXPECT_EQ(alert.packets[4].reason, std::nullopt) << "a refusal is no drop";

  evidence.mismatch.attempt.host_client = true;
  EXPECT_EQ(compose_evidence(evidence, 12, sources).packets[4].note, "the node's stack answers the SYN-ACK with RST");
}

TEST(ComposeEvidence, ADropHasItsPlaceAndThePacketItsName) {
  const AlertSources sources{.node = "n1",
                             .boot_to_wall = {},
                             .interface_name = [](std::uint32_t) { return std::nullopt; },
                             .drop_reason_name = [](std::uint32_t) { return std::optional("NETFILTER_DROP"); }};
  Evidence evidence;
  evidence.mismatch.attempt = ip_target_attempt();
  evidence.mismatch.attempt.outcome = Outcome::kDropped;
  evidence.mismatch.drop_symbol = "nf_hook_slow";
  CapturedPacket packet;
  packet.sensor = Sensor::kDrop;
  for (const std::uint8_t flags : std::to_array<std::uint8_t>({0x02, 0x12, 0x10, 0x04, 0x14})) {
    packet.tcp_flags = flags;
    evidence.packets.push_back(packet);
  }
  const Alert alert = compose_evidence(evidence, 1, sources);
  EXPECT_EQ(alert.drop_location, "nf_hook_slow");
  std::vector<std::string> notes;
  for (const auto& shown : alert.packets) {
    notes.push_back(shown.note);
  }
  EXPECT_THAT(notes, ::testing::ElementsAre("the kernel dropped the SYN", "the kernel dropped the SYN-ACK",
                                            "the kernel dropped the ACK", "the kernel dropped the RST",
                                            "the kernel dropped the RST"));
}

}  // namespace
}  // namespace hairpind
