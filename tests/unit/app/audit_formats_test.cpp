// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "audit_report.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

AuditRow row(Risk risk, const std::string& name, const std::string& reason = "because") {
  AuditRow made;
  made.kind = "Service";
  made.namespace_name = "shop";
  made.name = name;
  made.assessment = {.risk = risk,
                     .reason = reason,
                     .fix = risk == Risk::kSafe ? "" : "key: value",
                     .link = "https://example.com/page"};
  made.place = {.file = "dir/a b.yaml", .line = 7};
  return made;
}

AuditReport report(std::vector<AuditRow> rows) {
  AuditReport made{.rows = std::move(rows), .objects = 9};
  return made;
}

/// Everything that a tenant may write, in every field that is his.
AuditReport hostile() {
  const std::string text =
      "\x1b[2J\x1b]0;owned\x07\r\n::error::x%0A<a>&\"'\xc2\x9b"
      "31m\xe2\x80\xaegpj.exe\xff " +
      std::string(1, '\0');
  AuditRow made = row(Risk::kAtRisk, text, text);
  made.namespace_name = text;
  made.kind = "Gateway";
  made.assessment.fix = text;
  made.ignored = text;
  made.place.file = text;
  AuditReport all = report({made, row(Risk::kUnknown, text, text)});
  all.errors = {text};
  all.notes = {text};
  return all;
}

std::vector<std::string> formats(const AuditReport& of) {
  return {to_table(of, 120), to_table(of, 0),     to_json(of),        to_yaml(of),
          to_sarif(of),      to_junit(of, false), to_junit(of, true), to_github(of)};
}

std::size_t columns(const std::string& line) {
  return static_cast<std::size_t>(
      std::ranges::count_if(line, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

TEST(AuditFormats, NoControlCharacterPasses) {
  for (const std::string& text : formats(hostile())) {
    EXPECT_TRUE(std::ranges::none_of(text, [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return (byte < 0x20 && c != '\n') || byte == 0x7f || byte == 0xff;
    })) << text;
    EXPECT_THAT(text, Not(HasSubstr("\xc2\x9b")));
    EXPECT_THAT(text, Not(HasSubstr("\xe2\x80\xae")));
  }
}

TEST(AuditTable, FitsItsColumns) {
  AuditRow long_name = row(Risk::kAtRisk, std::string(63, 'n'), std::string(300, 'x') + " " + std::string(50, 'y'));
  long_name.namespace_name = std::string(63, 's');
  long_name.place.file = std::string(200, 'f');
  AuditRow wide_letters = row(Risk::kUnknown, "\xc3\xa9t\xc3\xa9", "");
  for (int i = 0; i < 60; i++) {
    wide_letters.assessment.reason += "\xc3\xa9\xc3\xa9\xc3\xa9 ";
  }
  for (const std::size_t width : {80U, 120U}) {
    std::istringstream lines(to_table(report({long_name, wide_letters, row(Risk::kSafe, "web")}), width));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(columns(line), width) << line;
      EXPECT_FALSE(line.ends_with(" ")) << "'" << line << "'";
    }
  }
  const std::string table = to_table(report({row(Risk::kAtRisk, "web", "one two three")}), 120);
  EXPECT_THAT(table, StartsWith("SERVICE   VERDICT   WHY\nshop/web  at_risk   one two three\n"
                                "                    fix: key: value\n"));
  EXPECT_THAT(table, Not(HasSubstr("https://")));
}

TEST(AuditTable, WideHasEachFactOnOneLine) {
  const std::string reason = std::string(200, 'x') + " y";
  const std::string table = to_table(report({row(Risk::kAtRisk, std::string(63, 'n'), reason)}), 0);
  EXPECT_THAT(table, HasSubstr("shop/" + std::string(63, 'n') + "  at_risk   " + reason + "\n"));
  EXPECT_THAT(table, HasSubstr("see: https://example.com/page\n"));
}

TEST(AuditJson, IsSortedIntoServicesAndOthers) {
  AuditRow gateway = row(Risk::kUnknown, "g");
  gateway.kind = "Gateway";
  AuditReport made = report({row(Risk::kSafe, "web"), gateway});
  made.errors = {"cannot read x"};
  const Json document = Json::parse(to_json(made));
  EXPECT_EQ(document["schema"], "hairpind.audit/v1");
  EXPECT_EQ(document["complete"], false);
  EXPECT_EQ(document["objects_read"], 9);
  ASSERT_EQ(document["services"].size(), 1U);
  EXPECT_EQ(document["services"][0]["file"], "dir/a b.yaml");
  EXPECT_EQ(document["services"][0]["line"], 7);
  EXPECT_FALSE(document["services"][0].contains("exposed_nodes"));
  ASSERT_EQ(document["others"].size(), 1U);
  const YAML::Node yaml = YAML::Load(to_yaml(made));
  EXPECT_EQ(yaml["others"][0]["kind"].as<std::string>(), "Gateway");
  EXPECT_EQ(yaml["services"][0]["line"].as<int>(), 7);
  EXPECT_FALSE(yaml["complete"].as<bool>());
}

TEST(AuditSarif, NamesRuleLevelAndPlace) {
  AuditRow ignored = row(Risk::kUnknown, "later");
  ignored.ignored = "not in use";
  AuditRow of_cluster = row(Risk::kSafe, "safe");
  of_cluster.place = {};
  AuditReport made = report({row(Risk::kAtRisk, "web"), ignored, of_cluster});
  made.notes = {"passed over"};
  const Json document = Json::parse(to_sarif(made));
  EXPECT_EQ(document["version"], "2.1.0");
  const Json& run = document["runs"][0];
  EXPECT_EQ(run["tool"]["driver"]["name"], "hairpind");
  EXPECT_EQ(run["invocations"][0]["executionSuccessful"], true);
  EXPECT_EQ(run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"], "passed over");
  const Json& results = run["results"];
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0]["ruleId"], "hairpind/at_risk");
  EXPECT_EQ(results[0]["level"], "error");
  EXPECT_EQ(results[0]["kind"], "fail");
  const Json& place = results[0]["locations"][0]["physicalLocation"];
  EXPECT_EQ(place["artifactLocation"]["uri"], "dir/a%20b.yaml");
  EXPECT_EQ(place["region"]["startLine"], 7);
  EXPECT_EQ(results[1]["suppressions"][0]["justification"], "not in use");
  EXPECT_EQ(results[2]["level"], "none");
  EXPECT_EQ(results[2]["kind"], "pass");
  EXPECT_FALSE(results[2]["locations"][0].contains("physicalLocation"));
  for (const Json& result : results) {
    EXPECT_TRUE(std::ranges::any_of(run["tool"]["driver"]["rules"],
                                    [&](const Json& rule) { return rule["id"] == result["ruleId"]; }));
  }
}

TEST(AuditJunit, CountsWhatTheGateFailsOn) {
  AuditRow ignored = row(Risk::kAtRisk, "later");
  ignored.ignored = "not in use";
  AuditReport made =
      report({row(Risk::kAtRisk, "a<b", "x & y"), row(Risk::kUnknown, "u"), ignored, row(Risk::kSafe, "s")});
  EXPECT_THAT(to_junit(made, false), HasSubstr("tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"2\""));
  EXPECT_THAT(to_junit(made, true), HasSubstr("tests=\"4\" failures=\"2\" errors=\"0\" skipped=\"1\""));
  EXPECT_THAT(to_junit(made, false),
              HasSubstr("<failure type=\"at_risk\" message=\"x &amp; y\">shop/a&lt;b: x &amp; y"));
  EXPECT_THAT(to_junit(made, false), HasSubstr("<skipped message=\"ignored: not in use\"/>"));
  EXPECT_THAT(to_junit(made, false), HasSubstr("file=\"dir/a b.yaml\" line=\"7\""));
  made.errors = {"cannot read x"};
  EXPECT_THAT(to_junit(made, false), HasSubstr("tests=\"5\" failures=\"1\" errors=\"1\""));
  EXPECT_THAT(to_junit(made, false), HasSubstr("<error type=\"unreadable\" message=\"cannot read x\"/>"));
}

TEST(AuditGithub, AnnotatesTheLine) {
  AuditRow ignored = row(Risk::kUnknown, "later");
  ignored.ignored = "not in use";
  AuditRow strange = row(Risk::kUnknown, "u", "100% a:b");
  strange.place.file = "a,b:c.yaml";
  AuditReport made = report({row(Risk::kAtRisk, "web"), strange, ignored, row(Risk::kSafe, "s")});
  made.errors = {"cannot read x"};
  EXPECT_EQ(to_github(made),
            "::error file=dir/a b.yaml,line=7,title=hairpind%3A shop/web at_risk::shop/web: because. Fix: key: value. "
            "See https://example.com/page\n"
            "::warning file=a%2Cb%3Ac.yaml,line=7,title=hairpind%3A shop/u unknown::shop/u: 100%25 a:b. Fix: key: "
            "value. See https://example.com/page\n"
            "::notice file=dir/a b.yaml,line=7,title=hairpind%3A shop/later unknown::shop/later: because. Fix: key: "
            "value (ignored: not in use). See https://example.com/page\n"
            "::error title=hairpind%3A not read::cannot read x\n");
}

TEST(AuditReport, ServicesComeFirstByName) {
  AuditRow gateway = row(Risk::kUnknown, "a");
  gateway.kind = "Gateway";
  AuditReport made = report({gateway, row(Risk::kSafe, "b"), row(Risk::kSafe, "a")});
  sort_rows(made);
  EXPECT_EQ(made.rows[0].name, "a");
  EXPECT_EQ(made.rows[1].name, "b");
  EXPECT_EQ(made.rows[2].title(), "Gateway shop/a");
}

}  // namespace
}  // namespace hairpind
