// SPDX-License-Identifier: Apache-2.0
#include "evidence_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../core/attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using testing::ip_target_attempt;

TEST(EvidenceWatch, CarriesOrdersToTheKernelAndPacketsToAlerts) {
  std::vector<std::pair<CallingPair, std::uint32_t>> ordered;
  EvidenceWatch watch({.read_count = [](const IncidentKey&) { return std::optional<std::uint64_t>(7); },
                       .ask_conntrack =
                           [](const Attempt&) {
                             return ConntrackAnswer{.conntrack = Conntrack::kNoEntry,
                                                    .source = ConntrackSource::kNetlink};
                           },
                       .set_captures = [&](const CallingPair& pair, std::uint32_t attempts) -> Result<void> {
                         ordered.emplace_back(pair, attempts);
                         return {};
                       }});
  Attempt attempt = ip_target_attempt();
  attempt.captured = true;
  watch.on_event({.kind = EventKind::kMismatch, .time = 1s, .attempt = attempt, .drop_symbol = ""}, 1s);
  ASSERT_EQ(ordered.size(), 1);
  EXPECT_EQ(ordered[0].first.client, attempt.client.address);
  EXPECT_EQ(ordered[0].first.load_balancer, attempt.load_balancer);
  EXPECT_EQ(ordered[0].second, 1);
  CapturedPacket packet;
  packet.attempt = AttemptName::of(attempt);
  packet.ifindex = 3;
  watch.on_packet(packet, 1s);
  watch.on_turn(2s);
  ASSERT_TRUE(watch.next_deadline());
  const AlertSources sources{
      .node = "n1",
      .interface_name = [](std::uint32_t ifindex) { return std::optional("veth" + std::to_string(ifindex)); },
      .drop_reason_name = [](std::uint32_t) { return std::optional<std::string>(); }};
  EXPECT_TRUE(watch.take_due(2s, sources).empty());
  const auto alerts = watch.take_due(*watch.next_deadline(), sources);
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].event, AlertEvent::kAsymmetricHandshakeEvidence);
  EXPECT_EQ(alerts[0].count, 7);
  EXPECT_EQ(alerts[0].conntrack, Conntrack::kNoEntry);
  ASSERT_EQ(alerts[0].packets.size(), 1);
  EXPECT_EQ(alerts[0].packets[0].interface, "veth3");

  attempt.isn++;
  packet.attempt = AttemptName::of(attempt);
  watch.on_event({.kind = EventKind::kMismatch, .time = 9s, .attempt = attempt, .drop_symbol = ""}, 9s);
  watch.on_packet(packet, 9s);
  EXPECT_TRUE(watch.take_due(9s, sources).empty());
  EXPECT_EQ(watch.take_untold(9s, sources).size(), 1);
}

}  // namespace
}  // namespace hairpind
