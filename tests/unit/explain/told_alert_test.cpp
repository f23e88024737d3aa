// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/told_alert.hpp"

#include <gtest/gtest.h>

#include "hairpind/core/rfc3339.hpp"
#include "lines.hpp"

namespace hairpind {
namespace {

using testing::alert_line;

TEST(ToldAlert, WhatTenantsWroteIsFitForATerminal) {
  auto line = alert_line();
  line["client"]["pod"] = "a\x1b[2Jb";
  line["message"] = "one\ntwo";
  line["load_balancer"]["hostname"] = std::string(5000, 'x');
  const auto alert = *parse_told_alert(line.dump());
  EXPECT_EQ(alert.client.pod, "shop/a\\x1b[2Jb");
  EXPECT_EQ(alert.message, "one\\ntwo");
  EXPECT_EQ(alert.load_balancer.hostname.size(), 300);
}

TEST(ToldAlert, ANumberThatDoesNotFitIsNone) {
  auto line = alert_line();
  line["client"]["port"] = 65536 + 443;
  line["evidence"]["syn_isn"] = 4294967296;
  const auto alert = *parse_told_alert(line.dump());
  EXPECT_EQ(alert.client.port, std::nullopt);
  EXPECT_EQ(alert.evidence->syn_isn, std::nullopt);
}

TEST(ToldAlert, WhyAPacketWasDroppedIsToldOnce) {
  auto line = testing::evidence_line();
  line["packets"][2] = {{"hook", "kfree_skb"}, {"note", "the kernel dropped the SYN"}, {"reason", "NETFILTER_DROP"}};
  EXPECT_EQ(parse_told_alert(line.dump())->packets[2].note, "the kernel dropped the SYN: NETFILTER_DROP");
  line["packets"][2]["note"] = "dropped (NETFILTER_DROP)";
  EXPECT_EQ(parse_told_alert(line.dump())->packets[2].note, "dropped (NETFILTER_DROP)");
}

TEST(ToldAlert, PacketsAreBoundedAndNoneIsShorterThanItsBytes) {
  auto line = testing::evidence_line();
  line["packets"][0].erase("length");
  line["packets"][1]["length"] = 1;
  for (int i = 0; i < 100; i++) {
    line["packets"].push_back(line["packets"][2]);
  }
  const auto alert = *parse_told_alert(line.dump());
  EXPECT_EQ(alert.packets.size(), 64);
  EXPECT_EQ(alert.packets[0].length, 40);
  EXPECT_EQ(alert.packets[1].length, 40);
}

TEST(ToldAlert, WhatIsNoAlert) {
  EXPECT_FALSE(parse_told_alert("[]"));
  EXPECT_FALSE(parse_told_alert("{"));
  EXPECT_TRUE(parse_told_alert("{}"));
}

TEST(ToldAlert, TheEventMayBeAnObject) {
  auto line = alert_line();
  line["event"] = {{"kind", "alert"}, {"action", "asymmetric_handshake"}, {"id", "1"}};
  EXPECT_EQ(parse_told_alert(line.dump())->event, "asymmetric_handshake");
}

TEST(ToldAlert, Addresses) {
  EXPECT_EQ((ToldPeer{.ip = "10.0.0.1", .port = 443, .pod = "", .workload = "", .kind = ""}.address()), "10.0.0.1:443");
  EXPECT_EQ((ToldPeer{.ip = "fd00::1", .port = 443, .pod = "", .workload = "", .kind = ""}.address()), "[fd00::1]:443");
  EXPECT_EQ((ToldPeer{.ip = "fd00::1", .port = {}, .pod = "", .workload = "", .kind = ""}.address()), "fd00::1");
}

TEST(Rfc3339, ReadAndWritten) {
  struct Case {
    const char* text;
    const char* again;
  };
  for (const Case& one : {Case{"2026-11-24T02:43:12.790622Z", "2026-11-24T02:43:12.790622Z"},
                          Case{"2026-11-24T02:43:12Z", "2026-11-24T02:43:12.000000Z"},
                          Case{"2024-02-29T23:59:59.123456789Z", "2024-02-29T23:59:59.123456Z"},
                          Case{"2026-11-24T02:43:12.5Z", "2026-11-24T02:43:12.500000Z"}}) {
    const auto time = parse_rfc3339(one.text);
    ASSERT_TRUE(time) << one.text;
    EXPECT_EQ(to_rfc3339(*time), one.again);
  }
  EXPECT_EQ(parse_rfc3339("2026-11-24T02:43:12.000000009Z")->time_since_epoch().count() % 1000, 9);
  for (const char* const text :
       {"", "Z", "2026-11-24", "2026-11-24T02:43:12", "2026-02-30T02:43:12Z", "2026-13-01T00:00:00Z",
        "2026-11-24T24:00:00Z", "2026-11-24T02:60:00Z", "2026-11-24T02:43:12.Z", "2026-11-24T02:43:12.1234567890Z",
        "2026-11-24T02:43:12.xZ", "2026-11-24T02:43:12,5Z", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z",
        "2026-11-24 02:43:12Z", "-026-11-24T02:43:12Z"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

TEST(ToldAlert, PacketsAreDecoded) {
  const auto alert = *parse_told_alert(testing::evidence_line().dump());
  ASSERT_EQ(alert.packets.size(), 3);
  EXPECT_EQ(alert.broken_packets, 0);
  EXPECT_EQ(alert.packets[0].data.size(), 40);
  EXPECT_EQ(alert.packets[0].data[0], '\x45');
  EXPECT_EQ(alert.packets[0].length, 40);
  EXPECT_EQ(alert.packets[2].note, "the client's stack answers with RST");
  for (const char* const broken : {"abc", "ab=c", "a===", "abcd=", "ab\ncd", "====", "\xff\xff\xff\xff"}) {
    auto line = testing::evidence_line();
    line["packets"][0]["data"] = broken;
    EXPECT_EQ(parse_told_alert(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore))->broken_packets,
              std::string_view(broken) == "\xff\xff\xff\xff" ? 0 : 1)
        << broken;
  }
}

}  // namespace
}  // namespace hairpind
