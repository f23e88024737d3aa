// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/cluster_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lines.hpp"

namespace hairpind {
namespace {

using testing::at;
using ::testing::ElementsAre;
using testing::evidence_line;
using ::testing::HasSubstr;
using testing::state_of;
using testing::told_at;
using Lines = std::vector<nlohmann::json>;

nlohmann::json over(const std::string& clock, const std::string& event, const std::string& message = "said so") {
  auto line = told_at(clock, event, 17);
  line["evidence"] = nullptr;
  line["outcome"] = nullptr;
  line["message"] = message;
  line["problem"] = {{"mismatched", 17}};
  return line;
}

constexpr const char* kResolved = "asymmetric_handshake_resolved";
constexpr const char* kDormant = "asymmetric_handshake_dormant";

TEST(Conclude, TheStateIsWhatWasToldLast) {
  struct Case {
    const char* description;
    Lines lines;
    ToldState state;
  };
  auto reopened = told_at("02:50:00", "asymmetric_handshake", 18);
  reopened["reopened"] = true;
  auto exposure = over("02:00:00", "hairpin_exposure");
  exposure["cause"] = nullptr;
  const std::vector<Case> cases = {
      {"failing", {told_at("02:40:00")}, ToldState::kActive},
      {"an hour is what an agent may stay silent", {told_at("01:55:00")}, ToldState::kActive},
      {"silent for longer", {told_at("01:45:00")}, ToldState::kQuiet},
      {"dormant", {told_at("02:00:00"), over("02:30:00", kDormant)}, ToldState::kDormant},
      {"fixed", {told_at("02:00:00"), over("02:30:00", kResolved)}, ToldState::kFixed},
      {"fixed after it was dormant",
       {told_at("02:00:00"), over("02:10:00", kDormant), over("02:30:00", kResolved)},
       ToldState::kFixed},
      {"read backwards",
       {over("02:30:00", kResolved), over("02:10:00", kDormant), told_at("02:00:00")},
       ToldState::kFixed},
      {"fixed in the very second", {told_at("02:30:00"), over("02:30:00", kResolved)}, ToldState::kFixed},
      {"reopened", {told_at("02:00:00"), over("02:30:00", kResolved), reopened}, ToldState::kActive},
      {"the log begins with its end", {over("02:30:00", kResolved)}, ToldState::kFixed},
      {"nothing has failed", {exposure}, ToldState::kExposed},
  };
  for (const Case& one : cases) {
    const ClusterState state = state_of(one.lines);
    ASSERT_EQ(state.problems.size(), 1) << one.description;
    EXPECT_EQ(state.problems[0].state, one.state) << one.description << ": " << to_string(state.problems[0].state);
  }
}

TEST(Conclude, AProblemIsALoadBalancerAndItsStateTheWorstNodes) {
  auto elsewhere = told_at("02:20:00", "asymmetric_handshake_repeated", 5);
  elsewhere["node"] = "n2";
  elsewhere["incident"] = "2";
  elsewhere["client"]["pod"] = "cart-2";
  elsewhere["cause"] = "hairpin_node_port";
  elsewhere["hint"] = "The newest hint.";
  auto fixed = over("02:30:00", kResolved, "works again");
  const ClusterState state = state_of({told_at("02:00:00"), fixed, elsewhere});
  ASSERT_EQ(state.problems.size(), 1);
  const ToldProblem& problem = state.problems[0];
  EXPECT_EQ(problem.state, ToldState::kActive);
  EXPECT_EQ(problem.load_balancer.service, "shop/web");
  EXPECT_EQ(problem.attempts, 22) << "17 of n1, told at its end, and 5";
  EXPECT_THAT(problem.clients, ElementsAre("shop/cart-1", "shop/cart-2"));
  EXPECT_THAT(problem.causes, ElementsAre("hairpin_ip_target", "hairpin_node_port"));
  EXPECT_EQ(problem.hint, "The newest hint.");
  EXPECT_EQ(problem.since, at("02:00:00"));
  EXPECT_EQ(problem.last, at("02:20:00"));
  ASSERT_EQ(problem.nodes.size(), 2);
  EXPECT_EQ(problem.nodes[0].name, "n2");
  EXPECT_EQ(problem.nodes[1].said, "works again");
  ASSERT_EQ(problem.changes.size(), 3);
  EXPECT_EQ(problem.changes[1].node + problem.changes[1].what, "n2opened");
  EXPECT_EQ(problem.changes[2].what, "fixed");
}

TEST(Conclude, TheIncidentsOfANodeOpenItsProblemOnce) {
  auto other = told_at("02:10:00", "asymmetric_handshake", 9);
  other["incident"] = "2";
  const ClusterState state = state_of({told_at("02:40:00"), other});
  ASSERT_EQ(state.problems.size(), 1);
  const ToldProblem& problem = state.problems[0];
  ASSERT_EQ(problem.changes.size(), 1);
  EXPECT_EQ(problem.changes[0].time, at("02:10:00"));
  ASSERT_EQ(problem.incidents.size(), 2);
  EXPECT_EQ(state.incidents[problem.incidents[0]].alert.incident, "2") << "the most attempts";
  EXPECT_EQ(problem.state, ToldState::kActive);
}

// The older incident of the two comes last, by its id.
TEST(Conclude, WhatFailedLastCountsWhicheverIncidentItWas) {
  auto other = told_at("01:00:00");
  other["incident"] = "f";
  EXPECT_EQ(state_of({told_at("02:40:00"), other}).problems[0].state, ToldState::kActive);
}

TEST(Conclude, WorstFirst) {
  const auto of = [](nlohmann::json line, int port) {
    line["load_balancer"]["port"] = port;
    line["incident"] = std::to_string(port);
    return line;
  };
  const ClusterState state = state_of(
      {of(over("02:30:00", kResolved), 1), of(told_at("01:00:00"), 2), of(over("02:00:00", kDormant), 3),
       of(told_at("02:30:00", "asymmetric_handshake", 2), 4), of(told_at("02:30:00", "asymmetric_handshake", 9), 5)});
  std::vector<int> ports;
  for (const auto& problem : state.problems) {
    ports.push_back(problem.load_balancer.at.port.value_or(0));
  }
  EXPECT_THAT(ports, ElementsAre(5, 4, 3, 2, 1));
}

TEST(Conclude, EvidenceThatIsCutOffIsSaidAndTheRestGoesOn) {
  auto cut = evidence_line();
  cut["packets"][0]["data"] = std::string(testing::kSynPacket).substr(0, 21);
  const ClusterState state = state_of({told_at("02:43:12"), cut});
  EXPECT_THAT(state.notes,
              ElementsAre(HasSubstr("log, line 2: 1 of 3 packets of incident b775f4d550e3d157 are no base64")));
  ASSERT_EQ(state.incidents.size(), 1);
  ASSERT_EQ(state.incidents[0].packets.size(), 3);
  EXPECT_TRUE(state.incidents[0].packets[0].data.empty());
  EXPECT_EQ(state.incidents[0].packets[1].data.size(), 40);
}

TEST(Conclude, WhatIsNoJsonAfterAllIsSaid) {
  AlertLog log;
  log.read_line(
      R"({"schema":"hairpind.alert/v1","event":"asymmetric_handshake","time":"2026-11-24T02:43:12Z","node":"n1",
                    "incident":"1","count":nonsense})",
      "log", 1);
  const ClusterState state = conclude(log, 1, at("03:00:00"));
  EXPECT_TRUE(state.problems.empty());
  EXPECT_THAT(state.notes, ElementsAre(HasSubstr("log, line 1: an alert that is no valid JSON")));
}

TEST(Conclude, FieldsOfAnyTypeAreNoTrouble) {
  const auto whole = testing::alert_line();
  for (const auto& [key, unused] : whole.items()) {
    for (const nlohmann::json& value :
         {nlohmann::json(nullptr), nlohmann::json(-1), nlohmann::json(1e300), nlohmann::json("x"),
          nlohmann::json::array({1}), nlohmann::json{{"port", "x"}}}) {
      auto line = told_at("02:00:00");
      line[key] = value;
      state_of({line});
    }
  }
}

TEST(IncidentsBeginning, EachOnce) {
  auto other = told_at("02:00:00");
  other["incident"] = "b7ff";
  auto elsewhere = told_at("02:00:00");
  elsewhere["node"] = "n2";
  const ClusterState state = state_of({told_at("02:00:00"), other, elsewhere});
  EXPECT_THAT(incidents_beginning(state, "b7"), ElementsAre("b775f4d550e3d157", "b7ff"));
  EXPECT_THAT(incidents_beginning(state, "b775"), ElementsAre("b775f4d550e3d157"));
  EXPECT_THAT(incidents_beginning(state, "c"), ElementsAre());
}

}  // namespace
}  // namespace hairpind
