// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/ladder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hairpind/core/base64.hpp"
#include "hairpind/explain/text.hpp"
#include "lines.hpp"

namespace hairpind {
namespace {

using testing::alert_line;
using ::testing::ElementsAre;
using testing::evidence_line;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::state_of;
using testing::told_at;

/// "from>to label", and "!" where something else should have happened.
std::vector<std::string> arrows(const Ladder& ladder) {
  std::vector<std::string> result;
  for (const Step& step : ladder.steps) {
    result.push_back(std::to_string(step.from) + ">" + std::to_string(step.to) + " " + step.label +
                     (step.instead.empty() ? "" : " !"));
  }
  return result;
}

std::vector<std::string> roles(const Ladder& ladder) {
  std::vector<std::string> result;
  for (const Participant& participant : ladder.participants) {
    result.push_back(participant.role + " " + participant.address);
  }
  return result;
}

Ladder ladder_of_lines(const std::vector<nlohmann::json>& lines) {
  return ladder_of(state_of(lines).incidents.at(0));
}

TEST(Ladder, FromTheAlertsOwnEvidence) {
  const Ladder ladder = ladder_of_lines({alert_line()});
  EXPECT_FALSE(ladder.captured);
  EXPECT_THAT(roles(ladder),
              ElementsAre("client 10.0.1.10:14482", "target 10.0.1.20:8443", "load balancer 10.0.5.5:443"));
  EXPECT_THAT(arrows(ladder), ElementsAre("0>2 SYN seq=1451877577", "2>1 SYN seq=1451877577 !",
                                          "1>0 SYN-ACK ack=1451877578 !", "0>1 RST !"));
  EXPECT_EQ(ladder.steps[2].offset, std::chrono::microseconds(122));
  EXPECT_EQ(ladder.expected.size(), 5);
}

TEST(Ladder, FromPackets) {
  const Ladder ladder = ladder_of_lines({alert_line(), evidence_line()});
  EXPECT_TRUE(ladder.captured);
  EXPECT_THAT(arrows(ladder), ElementsAre("0>2 SYN seq=1451877577", "1>0 SYN-ACK ack=1451877578 !", "0>0 RST !"));
  EXPECT_EQ(ladder.steps[1].offset, std::chrono::microseconds(122));
  EXPECT_EQ(ladder.steps[0].where, "from_pod at veth1");
}

TEST(Ladder, ASecondAttemptCountsItsOwnTime) {
  auto line = evidence_line();
  auto second = line["packets"][0];
  // Another ISN: a byte of it.
  second["data"] = "RQAAKAABQABABgAACgABCgoABQU4kgG7V4nkyQAAAABQAvrwAAAAAA==";
  second["time"] = "2026-11-24T02:43:20.000000Z";
  line["packets"].push_back(second);
  line["packets"].push_back(line["packets"][0]);
  line["packets"][4]["time"] = "2026-11-24T02:43:15.000100Z";
  const Ladder ladder = ladder_of_lines({line});
  ASSERT_EQ(ladder.steps.size(), 5);
  EXPECT_THAT(ladder.steps[3].meaning, HasSubstr("again: "));
  EXPECT_EQ(ladder.steps[3].offset, std::chrono::seconds(1));
  EXPECT_FALSE(ladder.steps[3].new_attempt);
  EXPECT_TRUE(ladder.steps[4].new_attempt);
  EXPECT_EQ(ladder.steps[4].offset, std::chrono::seconds(0));
}

TEST(Ladder, ANodePortHasItsPodBeside) {
  auto line = alert_line();
  line["responder"] = {{"ip", "10.0.0.4"}, {"port", 30443}, {"kind", "node"}};
  const Ladder ladder = ladder_of_lines({line});
  EXPECT_THAT(roles(ladder), ElementsAre("client 10.0.1.10:14482", "target 10.0.1.20:8443", "this node 10.0.0.4:30443",
                                         "load balancer 10.0.5.5:443"));
  EXPECT_THAT(arrows(ladder), ElementsAre("0>3 SYN seq=1451877577", "3>1 SYN seq=1451877577 !",
                                          "1>0 SYN-ACK ack=1451877578 !", "0>2 RST !"));
}

TEST(Ladder, AMartianIsDroppedAtTheNode) {
  auto line = alert_line();
  line["cause"] = "hairpin_martian";
  line["responder"] = nullptr;
  line["backend"] = nullptr;
  line["evidence"]["synack_ack"] = nullptr;
  line["outcome"] = {{"state", "dropped"}, {"drop_reason", "IP_LOCAL_SOURCE"}, {"drop_location", "ip_route_input"}};
  const Ladder ladder = ladder_of_lines({line});
  EXPECT_THAT(arrows(ladder), ElementsAre("0>2 SYN seq=1451877577", "2>1 SYN seq=1451877577 !", "1>1 drop !"));
  EXPECT_THAT(ladder.steps[2].meaning, HasSubstr("IP_LOCAL_SOURCE in ip_route_input"));
}

TEST(Ladder, EachEndHasItsWords) {
  auto line = alert_line();
  line["outcome"]["state"] = "completed";
  EXPECT_THAT(arrows(ladder_of_lines({line})).back(), "0>0 completed");
  line["outcome"]["state"] = "unknown";
  EXPECT_THAT(arrows(ladder_of_lines({line})).back(), "0>0 end unknown !");
}

TEST(Ladder, WhatNobodySawIsNotDrawn) {
  auto line = alert_line();
  line["evidence"]["returned_syn"] = false;
  EXPECT_THAT(arrows(ladder_of_lines({line})),
              ElementsAre("0>2 SYN seq=1451877577", "1>0 SYN-ACK ack=1451877578 !", "0>1 RST !"));
  line["cause"] = "unsolicited_synack";
  line["responder"]["kind"] = "remote";
  const Ladder ladder = ladder_of_lines({line});
  EXPECT_THAT(arrows(ladder), ElementsAre("2>1 SYN !", "1>0 SYN-ACK ack=1451877578 !", "0>1 RST !"))
      << "the client sent no SYN";
  EXPECT_EQ(ladder.participants[1].role, "target elsewhere");
}

/// kSynPacket with other addresses.
std::string syn_packet(std::string_view source, std::string_view destination) {
  std::string bytes("\x45\0\0\x28\0\1\x40\0\x40\6\0\0", 12);
  bytes.append(source).append(destination);
  bytes += std::string("\x38\x92\x01\xbb\0\0\0\1\0\0\0\0\x50\2\0\0\0\0\0\0", 20);
  return encode_base64(bytes);
}

TEST(Ladder, ASynOfAnotherSourceSaysWhose) {
  auto line = evidence_line();
  line["packets"][0]["data"] = syn_packet(std::string_view("\x0a\0\0\4", 4), std::string_view("\x0a\0\5\5", 4));
  line["packets"][1]["data"] = syn_packet(std::string_view("\x0a\0\5\5", 4), std::string_view("\x0a\0\1\x14", 4));
  const Ladder ladder = ladder_of_lines({line});
  EXPECT_THAT(ladder.steps[0].meaning, HasSubstr("under the address 10.0.0.4:14482"));
  EXPECT_THAT(ladder.steps[1].meaning, HasSubstr("from 10.0.5.5:14482"));
  EXPECT_EQ(ladder.steps[1].instead, "") << "as it should be";
}

TEST(Ladder, WhatIsNoPacketIsToldAllTheSame) {
  auto line = evidence_line();
  line["packets"][0]["data"] = "AAAA";
  line["packets"][1]["data"] = "cut";
  const Ladder ladder = ladder_of_lines({line});
  ASSERT_EQ(ladder.steps.size(), 3);
  EXPECT_THAT(ladder.steps[1].meaning, HasSubstr("its bytes are missing"));
}

std::string text(const std::vector<nlohmann::json>& lines, const TextStyle& style = {}) {
  const ClusterState state = state_of(lines);
  return incident_text(state, state.incidents.at(0).alert.incident, style);
}

TEST(LadderText, ShowsWhatHappenedAndWhatShouldHave) {
  const std::string drawn = text({alert_line()});
  EXPECT_THAT(drawn, HasSubstr("incident b775f4d550e3d157  critical\n"));
  EXPECT_THAT(drawn, HasSubstr("  client         shop/cart-1 (10.0.1.10:14482)\n"));
  EXPECT_THAT(drawn, HasSubstr("+0.000 ms       |-- SYN seq=1451877577 ------------------------------------>|"));
  EXPECT_THAT(drawn, HasSubstr("                |                             |<-- SYN seq=1451877577 ------|"));
  EXPECT_THAT(drawn, HasSubstr("+0.122 ms       |<-- SYN-ACK ack=1451877578 --|                             |"));
  EXPECT_THAT(drawn, HasSubstr("|-- RST --------------------->|"));
  EXPECT_THAT(drawn, HasSubstr("should be: the load balancer sends it"));
  EXPECT_THAT(drawn, HasSubstr("  outcome        the client's kernel, or its node's, answered with RST"));
  EXPECT_THAT(drawn, HasSubstr("  what to do     Turn off client IP preservation.\n"));
  EXPECT_THAT(drawn, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text({alert_line()}, {.columns = 120, .colours = true}), HasSubstr("\x1b[31mx the"));
  EXPECT_THAT(text({alert_line(), evidence_line()}), HasSubstr("  times          since 2026-11-24T02:43:14.000100Z"));
}

TEST(LadderText, SaysWhatShouldBeOnceAndCountsAttempts) {
  auto line = evidence_line();
  line["runbook"] = "https://example.org/runbook";
  line["outcome"] = {{"state", "dropped"}, {"drop_reason", "NETFILTER_DROP"}, {"drop_location", "nf_hook_slow"}};
  auto delivered = line["packets"][1];
  delivered["hook"] = "to_pod";
  auto second = line["packets"][0];
  second["data"] = "RQAAKAABQABABgAACgABCgoABQU4kgG7V4nkyQAAAABQAvrwAAAAAA==";
  second["time"] = "2026-11-24T02:43:20.000000Z";
  line["packets"].insert(line["packets"].begin() + 2, delivered);
  line["packets"].push_back(second);
  const std::string drawn = text({line});
  const auto first = drawn.find("should be: the target answers");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(drawn.find("should be: the target answers", first + 1), std::string::npos);
  EXPECT_THAT(drawn, HasSubstr("   attempt 2\n"));
  EXPECT_THAT(drawn, HasSubstr("  see            https://example.org/runbook\n"));
  EXPECT_THAT(drawn, HasSubstr("the kernel dropped the packet (NETFILTER_DROP) in nf_hook_slow"));
}

TEST(LadderText, NamesOfAnyKindDoNoHarm) {
  auto line = evidence_line();
  line["packets"][0]["hook"] = "\x1b]0;x\x07";
  line["packets"][2]["hook"] = std::string(500, 'x') + "\xc3\xa4";
  line["packets"][2].erase("note");
  line["client"]["ip"] = std::string(280, '\x1b');
  line["load_balancer"]["ip"] = "\xc3\xa4\xc3\xb6\xc3\xbc";
  line["responder"]["ip"] = "";
  for (const std::size_t columns : {0UL, 1UL, 60UL, 200UL}) {
    EXPECT_THAT(text({line}, {.columns = columns, .colours = false}), Not(HasSubstr("\x1b")));
  }
}

TEST(ClusterText, OneLineForEachProblemAndWhatToDo) {
  auto other = told_at("02:00:00");
  other["load_balancer"] = {{"ip", "fd00::5"}, {"port", 443}};
  other["incident"] = "2";
  const std::string drawn = cluster_text(state_of({told_at("02:43:00", "asymmetric_handshake", 17), other}), {});
  EXPECT_THAT(drawn, HasSubstr("2 lines read, 2 alerts, 0 passed over; as of 2026-11-24 03:00:00Z\n"));
  EXPECT_THAT(drawn,
              HasSubstr("#  STATE   LOAD BALANCER  SERVICE   NODES  CLIENTS  ATTEMPTS  SINCE                 LAST "));
  EXPECT_THAT(drawn, HasSubstr("1  active  10.0.5.5:443   shop/web  1      1        17        2026-11-24 02:43:00Z"));
  EXPECT_THAT(drawn, HasSubstr("2  active  [fd00::5]:443  -  "));
  EXPECT_THAT(drawn, HasSubstr("     what to do: Turn off client IP preservation.\n"));
  EXPECT_THAT(drawn, HasSubstr("incident b775f4d550e3d157 on n1: shop/cart-1 (10.0.1.10:14482), answered by"));
  EXPECT_THAT(drawn, HasSubstr("hairpind explain --incident b775f4"));
  EXPECT_THAT(cluster_text(state_of({}), {}), HasSubstr("No alert of hairpind"));
}

TEST(ClusterText, CountsOneAndMany) {
  std::vector<nlohmann::json> lines;
  for (const char* const cause : {"hairpin_ip_target", "hairpin_martian", "hairpin_node_port"}) {
    lines.push_back(told_at("02:00:00"));
    lines.back()["cause"] = cause;
    lines.back()["incident"] = cause;
  }
  EXPECT_THAT(cluster_text(state_of(lines), {}), HasSubstr("hairpin_ip_target, hairpin_martian and 1 more"));
  EXPECT_THAT(cluster_text(state_of({lines[0]}), {}), HasSubstr("1 line read, 1 alert, 0 passed over"));
}

TEST(ClusterText, ControlCharactersAreShown) {
  auto line = told_at("02:00:00");
  for (const char* const key : {"node", "incident", "cause", "hint", "message", "runbook"}) {
    line[key] = "a\x1b[31m\nb";
  }
  line["load_balancer"]["service"] = "a\x1b[31m\nb";
  line["client"]["pod"] = "a\x1b[31m\nb";
  for (const std::string& drawn : {cluster_text(state_of({line}), {}), text({line})}) {
    EXPECT_THAT(drawn, Not(HasSubstr("\x1b")));
    EXPECT_THAT(drawn, HasSubstr("a\\x1b[31m\\nb"));
  }
}

}  // namespace
}  // namespace hairpind
