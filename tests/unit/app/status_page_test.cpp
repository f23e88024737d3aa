// SPDX-License-Identifier: Apache-2.0
#include "status_page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "../core/attempts.hpp"
#include "alert_schema.hpp"
#include "status_command.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const Endpoint kLb = testing::endpoint("10.0.5.5", 443);
constexpr WallTime kNow{std::chrono::seconds(1764150000)};

Status status_with_a_problem() {
  Status status;
  status.last_turn = 1h;
  status.attached = {.pods = 2, .uplinks = 1, .complete = true};
  status.kubernetes_synced = true;
  status.pending_syns = 4;
  status.watched.listed = {kLb, testing::endpoint("10.0.5.6", 443)};
  status.devices = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"uplink eth0: a NIC"});
  status.named = std::make_shared<NamedCounts>(NamedCounts{.services = {{kLb, "shop/api"}}, .mismatches = {}});
  status.problems = std::make_shared<ProblemStatus>(
      ProblemStatus{{kLb,
                     {.service = "",
                      .state = ProblemState::kActive,
                      .last_mismatch = {{Cause::kHairpinIpTarget, kNow - 10s}, {Cause::kHairpinNodePort, kNow - 5s}},
                      .last_answered = kNow - 7s}}});
  return status;
}

KernelCounts counts() {
  KernelCounts counts;
  LoadBalancerCounters row{.load_balancer = kLb};
  row.syns = 9;
  row.answered = 5;
  row.mismatched = 3;
  row.refused = 1;
  row.same_node_answered = 2;
  LoadBalancerCounters rest{.load_balancer = {}};
  rest.syns = 6;
  counts.load_balancers = {rest, row};
  return counts;
}

std::string page(const Status& status) {
  const KernelCounts counted = counts();
  return render_status(status, &counted, "n1", 1h, kNow);
}

TEST(StatusPage, HasWhatIsKnownOfEachLoadBalancer) {
  EXPECT_EQ(testing::status_violations(page(status_with_a_problem())), "");
  const Json json = Json::parse(page(status_with_a_problem()));
  EXPECT_EQ(json["schema"], "hairpind.status/v1");
  EXPECT_EQ(json["time"], "2025-11-26T09:40:00.000000Z");
  EXPECT_EQ(json["node"], "n1");
  EXPECT_EQ(json["ready"], true);
  EXPECT_EQ(json["kubernetes_synced"], true);
  EXPECT_EQ(json["pending"], 4);
  EXPECT_EQ(json["devices"], Json::array({"uplink eth0: a NIC"}));
  EXPECT_EQ(json["other_attempts"], 6);
  EXPECT_EQ(json["uncalled"], Json::array({"10.0.5.6:443"}));
  ASSERT_EQ(json["load_balancers"].size(), 1);
  EXPECT_EQ(json["load_balancers"][0], Json::parse(R"({"lb":"10.0.5.5:443","service":"shop/api","attempts":9,
      "answered":5,"mismatched":3,"refused":1,"unanswered":0,"same_node_answered":2,"state":"active",
      "last_bad":"2025-11-26T09:39:55.000000Z","last_good":"2025-11-26T09:39:53.000000Z"})"));
}

TEST(StatusPage, WhatIsNotKnownIsNull) {
  const Status status;
  const Json bare = Json::parse(render_status(status, nullptr, "n1", 1h, kNow));
  EXPECT_EQ(bare["ready"], false);
  EXPECT_TRUE(bare["kubernetes_synced"].is_null());
  EXPECT_TRUE(bare["load_balancers"].empty());
  const Json json = Json::parse(page(status));
  EXPECT_EQ(testing::status_violations(page(status)), "");
  EXPECT_TRUE(json["load_balancers"][0]["state"].is_null());
  EXPECT_TRUE(json["load_balancers"][0]["last_bad"].is_null());
  EXPECT_TRUE(json["load_balancers"][0]["service"].is_null());
}

TEST(StatusPage, WhatFailedBeforeARestartIsThere) {
  Status status = status_with_a_problem();
  status.problems = std::make_shared<ProblemStatus>(
      ProblemStatus{{testing::endpoint("10.0.5.7", 443),
                     {.service = "", .state = ProblemState::kDormant, .last_mismatch = {}, .last_answered = {}}}});
  EXPECT_EQ(testing::status_violations(page(status)), "");
  const Json json = Json::parse(page(status));
  ASSERT_EQ(json["load_balancers"].size(), 2);
  EXPECT_EQ(json["load_balancers"][1]["lb"], "10.0.5.7:443");
  EXPECT_EQ(json["load_balancers"][1]["state"], "dormant");
  EXPECT_EQ(json["load_balancers"][1]["attempts"], 0);
}

TEST(StatusCommand, TellsAPersonTheSame) {
  const auto text = describe_status(page(status_with_a_problem()));
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, HasSubstr("on node n1: healthy, ready, in step with the API server; 4 attempts are undecided\n"));
  EXPECT_THAT(*text, HasSubstr("  uplink eth0: a NIC\n"));
  EXPECT_THAT(
      *text,
      HasSubstr("10.0.5.5:443   shop/api  active  9         5         3           2          2025-11-26T09:39:55Z"));
  Status stalled;
  stalled.last_turn = 1h - 60s;
  const auto idle = describe_status(render_status(stalled, nullptr, "n1", 1h, kNow));
  ASSERT_TRUE(idle);
  EXPECT_THAT(*idle, HasSubstr("STALLED, NOT READY;"));
  EXPECT_THAT(*idle, HasSubstr("No load balancer has been called from this node; 0 are watched for.\n"));
  EXPECT_THAT(*text, HasSubstr("\n1 more are watched for and have not been called from here.\n"));
}

TEST(StatusCommand, WritesNothingThatATerminalWouldObey) {
  Status status = status_with_a_problem();
  status.devices = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"uplink \x1b[2J"});
  EXPECT_THAT(*describe_status(page(status)), Not(HasSubstr("\x1b")));
}

TEST(StatusCommand, RefusesWhatIsNoStatus) {
  for (const char* const text : {"", "[]", "404 page", R"({"schema":"hairpind.status/v2"})",
                                 R"({"schema":"hairpind.status/v1"})", R"({"schema":7})"}) {
    EXPECT_FALSE(describe_status(text)) << text;
  }
}

}  // namespace
}  // namespace hairpind
