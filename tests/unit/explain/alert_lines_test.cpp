// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/alert_lines.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lines.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;
using testing::alert_line;

struct Case {
  const char* description;
  std::string line;
  std::vector<std::string> incidents;
  std::string source;
  LineKind kind = LineKind::kOurs;
};

std::string quoted(const std::string& text) {
  return Json(text).dump();
}

TEST(FindAlerts, WhereverTheyStand) {
  const std::string one = alert_line().dump();
  auto second = alert_line();
  second["incident"] = "2";
  const std::string two = second.dump();
  const std::vector<std::string> first = {"b775f4d550e3d157"};
  const std::vector<std::string> both = {"b775f4d550e3d157", "2"};
  auto ecs = alert_line();
  ecs["event"] = {{"kind", "alert"}, {"action", "asymmetric_handshake"}};
  auto braces = alert_line();
  braces["message"] = "a { \" } \\ hairpind.alert/v1 {";
  std::string labels;
  for (int i = 0; i < 10; i++) {
    labels += "{a=\"b\"} ";
  }
  // Far deeper than a stack of calls could follow.
  constexpr std::size_t kDeep = 200'000;
  std::string closed;
  for (std::size_t i = 0; i < kDeep; i++) {
    closed += "[";
  }
  closed += quoted(one) + std::string(kDeep, ']');
  const std::string opens = "{\"a\":";
  std::string deep;
  for (int i = 0; i < 100; i++) {
    deep += opens;
  }
  const std::vector<Case> cases = {
      {"alone", one, first, ""},
      {"with blanks", "  " + alert_line().dump(-1) + "  \r", first, ""},
      {"event as an object", ecs.dump(), first, ""},
      {"kubectl logs --prefix", "[pod/hairpind-x7k2p/hairpind] " + one, first, "pod/hairpind-x7k2p/hairpind"},
      {"CRI", "2026-11-24T02:43:12.8Z stdout F " + one, first, ""},
      {"Docker", R"({"log":)" + quoted(one + "\n") + R"(,"stream":"stdout","time":"2026-11-24T02:43:12.8Z"})", first,
       ""},
      {"logcli", R"(2026-11-24T02:43:12Z {app="hairpind", pod="hairpind-1"} )" + one, first, ""},
      {"logcli -o jsonl", R"({"labels":{"pod":"hairpind-1"},"line":)" + quoted(one) + R"(,"timestamp":"2026"})", first,
       "hairpind-1"},
      {"Loki's API",
       R"({"status":"success","data":{"result":[{"stream":{"pod":"hairpind-1"},"values":[["1",)" + quoted(one) +
           R"(],["2",)" + quoted(two) + "]]}]}}",
       both, "hairpind-1"},
      {"Fluent Bit, merged", R"({"kubernetes":{"pod_name":"hairpind-2"},"log_processed":)" + one + "}", first,
       "hairpind-2"},
      {"many braces before it", labels + one, first, ""},
      {"nested far too deep", "{\"a\":" + closed + "}", {}, "", LineKind::kBroken},
      {"an array", "[" + one + "," + two + "]", both, ""},
      {"two in a line", one + " " + two, both, ""},
      {"braces and quotes in text", braces.dump(), first, ""},
      {"a string in a string in a string",
       quoted(R"({"a":)" + quoted(R"({"b":)" + quoted(one) + "}") + "}"),
       {},
       "",
       LineKind::kBroken},
      {"nothing of ours", R"({"schema":"other/v1"})", {}, "", LineKind::kNotOurs},
      {"empty", "", {}, "", LineKind::kNotOurs},
      {"a mention", "reads schema hairpind.alert/v1", {}, "", LineKind::kBroken},
      {"cut off", one.substr(0, one.size() - 1), {}, "", LineKind::kBroken},
      {"cut off in a string", R"({"schema":"hairpind.alert/v1","event":"asym)", {}, "", LineKind::kBroken},
      {"nested without end", deep + "\"hairpind.alert/v1\"", {}, "", LineKind::kBroken},
      {"a schema elsewhere", R"({"a":{"b":"hairpind.alert/v1"}})", {}, "", LineKind::kBroken},
  };
  for (const Case& one_case : cases) {
    std::vector<std::string> incidents;
    std::string source;
    const LineKind kind = find_alerts(one_case.line, [&](const AlertText& text) {
      incidents.push_back(Json::parse(text.incident).get<std::string>());
      source = text.source;
    });
    EXPECT_EQ(incidents, one_case.incidents) << one_case.description;
    EXPECT_EQ(source, one_case.source) << one_case.description;
    EXPECT_EQ(kind, one_case.kind) << one_case.description;
  }
}

}  // namespace
}  // namespace hairpind
