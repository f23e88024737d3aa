// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "alert_schema.hpp"
#include "hairpind/explain/explain_json.hpp"
#include "hairpind/explain/html_page.hpp"
#include "lines.hpp"

namespace hairpind {
namespace {

using testing::alert_line;
using testing::evidence_line;
using testing::explain_violations;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::state_of;
using testing::told_at;

TEST(HtmlPage, WhatTenantsWroteIsText) {
  const char* const attack = "\"><script>alert(1)</script><img src=x onerror='y'>&amp;";
  auto line = evidence_line();
  for (const char* const key : {"node", "incident", "cause", "hint", "message", "runbook"}) {
    line[key] = attack;
  }
  for (const char* const who : {"client", "responder", "backend"}) {
    line[who]["ip"] = attack;
    line[who]["pod"] = attack;
    line[who]["workload"] = attack;
  }
  line["load_balancer"]["ip"] = attack;
  line["load_balancer"]["service"] = attack;
  line["evidence"]["conntrack"] = attack;
  line["packets"][0]["hook"] = attack;
  line["packets"][0]["interface"] = attack;
  line["packets"][2]["note"] = attack;
  auto first = line;
  first["event"] = "asymmetric_handshake";
  auto unknown = line;
  unknown["event"] = attack;
  const std::string page = html_page(state_of({first, line, unknown}), "");
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("onerror='")));
  EXPECT_THAT(page, HasSubstr("&quot;&gt;&lt;script&gt;"));
}

TEST(HtmlPage, HasAllItsParts) {
  const std::string page = html_page(state_of({alert_line(), evidence_line()}), "");
  for (const char* const part :
       {"<!doctype html>", "Timeline", "What happened", "What should have happened", "Evidence", "Packets as captured",
        "What to do", "Turn off client IP preservation.", "prefers-color-scheme:dark", "@media print",
        "default-src 'none'", "02:43:14.000222Z"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  EXPECT_THAT(html_page(state_of({alert_line()}), ""), Not(HasSubstr("Packets as captured")));
  EXPECT_THAT(html_page(state_of({}), ""), HasSubstr("No alert of hairpind"));
}

TEST(HtmlPage, ArrowsPointWhereThePacketWent) {
  const std::string page =
      html_page(state_of({alert_line(), told_at("02:50:00", "asymmetric_handshake_resolved")}), "");
  EXPECT_THAT(page,
              HasSubstr(R"(<g class="plain"><path class="arrow" d="M95 76H486"/><path class="head" d="M495 76l-9)"));
  EXPECT_THAT(page,
              HasSubstr(R"(<g class="bad"><path class="arrow" d="M495 112H304"/><path class="head" d="M295 112l9)"));
  EXPECT_THAT(page, HasSubstr("2026-11-24 02:50:00Z</text>")) << "the timeline ends with what was told last";
}

TEST(HtmlPage, OfTooManyTheRestIsCounted) {
  std::vector<nlohmann::json> lines;
  for (int i = 1; i <= 51; i++) {
    lines.push_back(told_at("02:00:00"));
    lines.back()["load_balancer"]["port"] = i;
    lines.back()["incident"] = "p" + std::to_string(i);
  }
  const std::string many = html_page(state_of(lines), "");
  EXPECT_THAT(many, HasSubstr("and 1 more problem; hairpind explain -o json has all"));
  EXPECT_THAT(many, Not(HasSubstr("<code>p9</code>"))) << "the last of them, by its address";
  for (auto& line : lines) {
    line["load_balancer"]["port"] = 443;
  }
  const std::string page = html_page(state_of(lines), "");
  EXPECT_THAT(page, HasSubstr("and 31 more incidents: hairpind explain --incident ID"));
  std::size_t articles = 0;
  for (std::size_t at = page.find("<article>"); at != std::string::npos; at = page.find("<article>", at + 1)) {
    articles++;
  }
  EXPECT_EQ(articles, 20);
}

TEST(HtmlPage, OfOneIncident) {
  auto other = told_at("02:00:00");
  other["incident"] = "2";
  other["load_balancer"]["port"] = 8443;
  const std::string page = html_page(state_of({alert_line(), other}), "2");
  EXPECT_THAT(page, HasSubstr("10.0.5.5:8443"));
  EXPECT_THAT(page, Not(HasSubstr("b775f4d550e3d157")));
}

TEST(ExplainJson, TheSame) {
  auto other = told_at("02:00:00");
  other["incident"] = "2";
  other["load_balancer"]["port"] = 8443;
  const auto json = nlohmann::json::parse(explain_json(state_of({alert_line(), evidence_line(), other}), ""));
  EXPECT_EQ(json["schema"], "hairpind.explain/v1");
  EXPECT_EQ(json["lines"], 3);
  ASSERT_EQ(json["problems"].size(), 2);
  EXPECT_EQ(json["problems"][0]["state"], "active");
  EXPECT_EQ(json["problems"][0]["load_balancer"]["service"], "shop/web");
  ASSERT_EQ(json["incidents"].size(), 2);
  const auto& ladder = json["incidents"][0]["ladder"];
  EXPECT_EQ(ladder["captured"], true);
  EXPECT_EQ(ladder["happened"][1]["offset_us"], 122);
  EXPECT_EQ(ladder["happened"][0]["should_be"], nullptr);
  const auto one = nlohmann::json::parse(explain_json(state_of({alert_line(), other}), "2"));
  ASSERT_EQ(one["incidents"].size(), 1);
  EXPECT_EQ(one["incidents"][0]["incident"], "2");
  EXPECT_EQ(one["problems"].size(), 1);
}

TEST(ExplainJson, SaysWhoDidWhat) {
  auto line = told_at("02:43:00", "asymmetric_handshake_repeated", 17);
  line["outcome"] = {{"state", "dropped"}, {"drop_reason", "NETFILTER_DROP"}, {"drop_location", "nf_hook_slow"}};
  auto other = told_at("02:00:00");
  other["incident"] = "2";
  const auto json = nlohmann::json::parse(explain_json(state_of({line, other}), ""));
  ASSERT_EQ(json["problems"].size(), 1);
  EXPECT_EQ(json["problems"][0]["incidents"], (nlohmann::json{"b775f4d550e3d157", "2"})) << "most attempts first";
  const auto& incident = json["incidents"][0];
  EXPECT_EQ(incident["attempts"], 17);
  EXPECT_EQ(incident["outcome"], (nlohmann::json{
                                     {"state", "dropped"},
                                     {"drop_reason", "NETFILTER_DROP"},
                                     {"drop_location", "nf_hook_slow"},
                                 }));
  const auto& happened = incident["ladder"]["happened"];
  EXPECT_EQ(happened[0]["from"], 0);
  EXPECT_EQ(happened[0]["to"], 2);
}

TEST(ExplainJson, IsAsItsSchemaHasIt) {
  auto exposure = told_at("02:00:00", "hairpin_exposure");
  exposure["incident"] = "2";
  exposure["load_balancer"]["ip"] = "fd00::5";
  for (const char* const key : {"cause", "evidence", "outcome", "responder", "backend", "runbook"}) {
    exposure[key] = nullptr;
  }
  auto resolved = told_at("02:50:00", "asymmetric_handshake_resolved");
  auto reopened = told_at("02:55:00");
  reopened["reopened"] = true;
  auto dormant = told_at("02:50:00", "asymmetric_handshake_dormant");
  dormant["node"] = "n2";
  auto node_port = told_at("02:00:00");
  node_port["incident"] = "3";
  node_port["responder"] = {{"ip", "10.0.0.4"}, {"port", 30443}, {"kind", "node"}};
  const nlohmann::json bare = {{"schema", "hairpind.alert/v1"},
                               {"event", "asymmetric_handshake"},
                               {"time", "2026-11-24T02:00:00Z"},
                               {"node", "n3"},
                               {"incident", "4"}};
  const ClusterState state = state_of({alert_line(),
                                       evidence_line(),
                                       exposure,
                                       resolved,
                                       reopened,
                                       dormant,
                                       node_port,
                                       bare,
                                       {{"schema", "hairpind.alert/v2"}}});
  for (const char* const incident : {"", "b775f4d550e3d157", "2", "3", "4", "none"}) {
    const std::string text = explain_json(state, incident);
    EXPECT_EQ(explain_violations(text), "") << incident << ": " << text;
  }
  const auto whole = nlohmann::json::parse(explain_json(state, ""));
  ASSERT_EQ(whole["notes"].size(), 1);
  ASSERT_EQ(whole["incidents"].size(), 5);
  // No object but has a field taken, one added, and each value made what it never is.
  const std::function<void(const nlohmann::json::json_pointer&)> break_below = [&](const auto& at) {
    const auto refused = [&](const auto& damage) {
      auto broken = whole;
      damage(broken[at]);
      return !explain_violations(broken.dump()).empty();
    };
    const auto& value = whole[at];
    EXPECT_TRUE(refused([](nlohmann::json& here) { here = nlohmann::json{{"un", "listed"}}; })) << at.to_string();
    if (value.is_object()) {
      EXPECT_TRUE(refused([](nlohmann::json& here) { here["unlisted"] = 1; })) << at.to_string();
    }
    for (const auto& [key, inner] : value.items()) {
      if (value.is_object() && key != "kind") {
        EXPECT_TRUE(refused([&](nlohmann::json& here) { here.erase(key); })) << at.to_string() << "/" << key;
      }
      if (value.is_object()) {
        break_below(at / key);
      }
    }
    if (value.is_array() && !value.empty()) {
      break_below(at / std::size_t{0});
    }
  };
  break_below(nlohmann::json::json_pointer());
}

}  // namespace
}  // namespace hairpind
