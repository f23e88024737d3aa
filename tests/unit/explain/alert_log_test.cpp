// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/alert_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "hairpind/core/rfc3339.hpp"
#include "lines.hpp"

namespace hairpind {
namespace {

using testing::alert_line;
using testing::at;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::log_of;
using testing::told_at;

CountSample sample(int second, std::uint64_t count, bool starts = false) {
  return {.time = WallTime(std::chrono::seconds(second)), .count = count, .starts = starts};
}

TEST(AttemptsOf, TheLastCountOfEachRunOfTheAgent) {
  struct Case {
    const char* description;
    std::vector<CountSample> samples;
    std::uint64_t attempts;
  };
  const std::vector<Case> cases = {
      {"none", {}, 0},
      {"one", {sample(1, 1, true)}, 1},
      {"one run", {sample(1, 1, true), sample(2, 9), sample(3, 20)}, 20},
      {"begun before the log", {sample(2, 9), sample(3, 20)}, 20},
      {"the agent started again, counts fell", {sample(1, 1, true), sample(2, 9), sample(3, 4)}, 13},
      {"the agent started again, counts did not fall", {sample(1, 1, true), sample(3, 3, true), sample(4, 5)}, 6},
      {"the same line twice", {sample(1, 1, true), sample(1, 1, true), sample(2, 9), sample(2, 9)}, 9},
      {"newest first", {sample(3, 4), sample(2, 9), sample(1, 1, true)}, 13},
  };
  for (const Case& one : cases) {
    auto samples = one.samples;
    EXPECT_EQ(attempts_of(samples), one.attempts) << one.description;
    EXPECT_EQ(attempts_of(samples), one.attempts) << one.description << ", once more";
  }
}

TEST(AttemptsOf, WhateverTheOrder) {
  std::vector<CountSample> all;
  std::uint64_t expected = 0;
  int second = 0;
  for (const int run : {5, 300, 2, 40}) {
    for (int i = 1; i <= run; i++) {
      all.push_back(sample(++second, static_cast<std::uint64_t>(i), i == 1));
    }
    expected += static_cast<std::uint64_t>(run);
  }
  std::mt19937 random(7);
  for (int round = 0; round < 20; round++) {
    auto samples = all;
    std::ranges::shuffle(samples, random);
    ASSERT_EQ(attempts_of(samples), expected) << round;
    EXPECT_EQ(samples.size(), 8);
  }
  // Thinned now and then, as lines come: logs run forward, or (Loki) backward.
  for (const bool backward : {false, true}) {
    if (backward) {
      std::ranges::reverse(all);
    }
    std::vector<CountSample> samples;
    for (const CountSample& one : all) {
      samples.push_back(one);
      if (samples.size() == 64) {
        attempts_of(samples);
      }
    }
    EXPECT_EQ(attempts_of(samples), expected) << backward;
  }
}

TEST(AlertLog, KeepsTheNewestAndCounts) {
  const AlertLog log = log_of({told_at("02:00:00"),
                               told_at("04:00:00", "asymmetric_handshake_repeated", 30),
                               told_at("03:00:00", "asymmetric_handshake_repeated", 20),
                               {{"some", "line"}}});
  ASSERT_EQ(log.records().size(), 1);
  const IncidentRecord& record = log.records().begin()->second;
  EXPECT_EQ(record.newest.time, at("04:00:00"));
  EXPECT_EQ(record.samples.size(), 3);
  EXPECT_EQ(log.alerts(), 3);
  EXPECT_EQ(log.passed_over(), 1);
  EXPECT_THAT(log.notes(), ElementsAre());
}

TEST(AlertLog, SamplesOfALongLogAreThinned) {
  std::vector<nlohmann::json> lines;
  for (int i = 0; i < 1000; i++) {
    auto line = told_at("02:00:00", "asymmetric_handshake_repeated", static_cast<std::uint64_t>(i) + 1);
    line["time"] = to_rfc3339(at("02:00:00") + std::chrono::seconds(i));
    lines.push_back(line);
  }
  const AlertLog log = log_of(lines);
  EXPECT_LE(log.records().begin()->second.samples.size(), 260);
}

// Two exports of one log, or a pipeline that delivers twice.
TEST(AlertLog, TheSameLineTwiceIsOne) {
  auto reopened = told_at("04:00:00", "asymmetric_handshake", 31);
  reopened["reopened"] = true;
  const auto resolved = told_at("03:30:00", "asymmetric_handshake_resolved", 30);
  const auto evidence = told_at("02:00:01", "asymmetric_handshake_evidence");
  const AlertLog log =
      log_of({told_at("02:00:00"), evidence, resolved, reopened, told_at("02:00:00"), evidence, resolved, reopened});
  const IncidentRecord& record = log.records().begin()->second;
  EXPECT_EQ(record.evidence.size(), 1);
  EXPECT_THAT(record.resolved_at, ElementsAre(at("03:30:00")));
  EXPECT_THAT(record.reopened, ElementsAre(at("04:00:00")));
  auto samples = record.samples;
  EXPECT_EQ(attempts_of(samples), 31) << "a problem that is back counts on";
}

TEST(AlertLog, OfMuchEvidenceTheNewestIsKept) {
  std::vector<nlohmann::json> lines;
  for (int i = 1; i < 8; i++) {
    lines.push_back(told_at("02:00:0" + std::to_string(i), "asymmetric_handshake_evidence"));
  }
  const AlertLog log = log_of(lines);
  std::vector<WallTime> times;
  for (const KeptAlert& kept : log.records().begin()->second.evidence) {
    times.push_back(kept.time);
  }
  EXPECT_THAT(times, ElementsAre(at("02:00:04"), at("02:00:05"), at("02:00:06"), at("02:00:07")));
}

TEST(AlertLog, WhatIsFarTooLongOrOfTooManyKindsTakesNoRoom) {
  auto huge = told_at("02:00:00");
  huge["message"] = std::string(70'000, 'x');
  std::vector<nlohmann::json> lines = {huge};
  for (int i = 0; i < 100; i++) {
    lines.push_back(told_at("02:00:00", "event_" + std::to_string(i)));
  }
  const AlertLog log = log_of(lines);
  EXPECT_EQ(log.alerts(), 0);
  const auto notes = log.notes();
  EXPECT_EQ(notes.size(), 16 + 1 + 1);
  EXPECT_THAT(notes, ::testing::Contains(HasSubstr("84 lines of event '(and others)'")));
  EXPECT_THAT(notes, ::testing::Contains(HasSubstr("is shorter than 64 KiB")));
}

TEST(AlertLog, ALineForEachKindOfWhatCannotBeTaken) {
  auto future = alert_line();
  future["schema"] = "hairpind.alert/v2";
  auto unknown = alert_line();
  unknown["event"] = "asymmetric_handshake_\x1b[31m";
  auto no_time = alert_line();
  no_time.erase("time");
  auto old_time = alert_line();
  old_time["time"] = "yesterday";
  AlertLog log = log_of({alert_line(), future, future, unknown, no_time, old_time});
  log.read_line(R"({"schema":"hairpind.alert/v1","event":"asym)", "log", 7);
  EXPECT_EQ(log.alerts(), 1);
  EXPECT_EQ(log.passed_over(), 6);
  EXPECT_THAT(
      log.notes(),
      ElementsAre(HasSubstr("2 lines of schema 'hairpind.alert/v2' passed over (first: log, line 2)"),
                  HasSubstr("1 line of event 'asymmetric_handshake_\\x1b[31m' passed over (first: log, line 4)"),
                  HasSubstr("1 line passed over that name hairpind's schema and hold no whole alert (first: log, "
                            "line 7)"),
                  HasSubstr("2 lines passed over (first: log, line 5)")));
}

nlohmann::json of_node(const std::string& node, const std::string& incident, const std::string& clock) {
  auto line = told_at(clock);
  line["node"] = node;
  line["incident"] = incident;
  return line;
}

TEST(AlertLog, TwoNodesWithTheSameName) {
  const auto told = [](const std::vector<std::pair<std::string, nlohmann::json>>& lines) {
    AlertLog log;
    for (const auto& [source, line] : lines) {
      const bool file = source.starts_with("/");
      log.read_line(file ? line.dump() : "[pod/" + source + "/hairpind] " + line.dump(), file ? source : "all.log", 1);
    }
    return log.notes();
  };
  EXPECT_THAT(told({{"a", of_node("n1", "1", "02:00:00")},
                    {"b", of_node("n1", "2", "02:30:00")},
                    {"a", of_node("n1", "1", "03:00:00")},
                    {"b", of_node("n1", "2", "04:00:00")}}),
              ElementsAre("two nodes with the name 'n1'? 'pod/a/hairpind' and 'pod/b/hairpind' tell of it at the same "
                          "time; they are shown as one"));
  EXPECT_THAT(told({{"a", of_node("n1", "1", "02:00:00")},
                    {"a", of_node("n1", "1", "02:10:00")},
                    {"b", of_node("n1", "1", "02:30:00")},
                    {"b", of_node("n1", "2", "04:00:00")},
                    {"c", of_node("n2", "2", "02:05:00")},
                    {"c", of_node("n2", "2", "04:05:00")}}),
              ElementsAre())
      << "an agent after the other";
  EXPECT_THAT(told({{"/a", of_node("n1", "1", "02:00:00")},
                    {"/a", of_node("n1", "1", "03:00:00")},
                    {"/b", of_node("n1", "2", "02:30:00")},
                    {"/b", of_node("n1", "2", "04:00:00")}}),
              ElementsAre(HasSubstr("'/a' and '/b'")));
  EXPECT_THAT(told({{"/a", of_node("n1", "1", "02:00:00")},
                    {"/a", of_node("n1", "1", "03:00:00")},
                    {"/b", of_node("n1", "1", "02:30:00")},
                    {"/b", of_node("n1", "1", "04:00:00")}}),
              ElementsAre())
      << "two exports of one node";
}

}  // namespace
}  // namespace hairpind
