// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hairpind/explain/explain_json.hpp"
#include "hairpind/explain/html_page.hpp"
#include "lines.hpp"

namespace hairpind {
namespace {

using testing::alert_line;
using testing::evidence_line;
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

}  // namespace
}  // namespace hairpind
