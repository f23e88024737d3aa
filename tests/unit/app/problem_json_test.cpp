// SPDX-License-Identifier: Apache-2.0
#include "problem_json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "../core/attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const KeptSince kThen{.boot = "0b1e", .boot_to_wall = 1000s};

// No two of its values are alike, and none is what it would be if it were not read.
KeptProblem problem() {
  Attempt example = testing::ip_target_attempt();
  example.syn_ifindex = 11;
  example.synack_ifindex = 12;
  example.host_client = true;
  example.learned = true;
  example.captured = true;
  example.drop_reason = 77;
  example.syn_dropped = true;
  example.conntrack_source = ConntrackSource::kNetlink;
  example.outcome = Outcome::kDropped;
  example.synack_delivered = testing::endpoint("10.0.1.21", 8444);
  return {
      .load_balancer = testing::endpoint("fd00::5", 443),
      .problem = {.state = ProblemState::kDormant,
                  .told = ProblemState::kFixed,
                  .proof = FixProof::kStatistical,
                  .opened = 1s,
                  .last_mismatch = 2s,
                  .mismatched = 3,
                  .answered = 4,
                  .reopenings = 5,
                  .interruptions = 6,
                  .share_mismatched = 7,
                  .share_attempts = 8,
                  .spared = 9,
                  .run = 10,
                  .same_node_answers = 11,
                  .target_gone = 12s,
                  .clients_gone = 13s},
      .placement = {.clients = {{*IpAddress::parse("10.0.1.10"),
                                 {.pod =
                                      PodRef{.namespace_name = "shop", .name = "web-1", .workload = "Deployment/web"},
                                  .ifindex = 21}},
                                {*IpAddress::parse("10.0.0.4"), {.pod = std::nullopt, .ifindex = 22, .is_node = true}}},
                    .targets = {{*IpAddress::parse("10.0.1.20"), {.pod = std::nullopt, .ifindex = 23}}},
                    .remote_target = true,
                    .by_node_port = true,
                    .target_names = {"shop/api-1"}},
      .newest = IncidentCount{.key = IncidentKey::of(example), .count = 31, .last_event = 32s, .example = example},
      .last_mismatch = {{Cause::kHairpinIpTarget, WallTime(1033s)}, {Cause::kUnsolicitedSynAck, WallTime(1034s)}},
      .last_answered = WallTime(1035s)};
}

std::string written() {
  return problems_to_json({problem()}, kThen);
}

TEST(ProblemJson, WhatIsWrittenIsReadBack) {
  const auto read = problems_from_json(written(), kThen);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 1);
  const KeptProblem& kept = read->front();
  const KeptProblem expected = problem();
  EXPECT_EQ(kept.load_balancer, expected.load_balancer);
  EXPECT_EQ(kept.problem, expected.problem);
  EXPECT_EQ(kept.placement, expected.placement);
  EXPECT_EQ(kept.last_mismatch, expected.last_mismatch);
  EXPECT_EQ(kept.last_answered, expected.last_answered);
  ASSERT_TRUE(kept.newest);
  EXPECT_EQ(kept.newest->key, expected.newest->key);
  EXPECT_EQ(kept.newest->count, 31);
  EXPECT_EQ(kept.newest->last_event, 32s);
  const Attempt& example = kept.newest->example;
  const Attempt& attempt = expected.newest->example;
  EXPECT_EQ(example.client, attempt.client);
  EXPECT_EQ(example.isn, attempt.isn);
  EXPECT_EQ(example.load_balancer, attempt.load_balancer);
  EXPECT_EQ(example.returned, attempt.returned);
  EXPECT_EQ(example.synack_sent, attempt.synack_sent);
  EXPECT_EQ(example.synack_delivered, attempt.synack_delivered);
  EXPECT_EQ(example.responder, attempt.responder);
  EXPECT_EQ(example.first_syn, attempt.first_syn);
  EXPECT_EQ(example.synack, attempt.synack);
  EXPECT_EQ(example.syn_ifindex, 11);
  EXPECT_EQ(example.synack_ifindex, 12);
  EXPECT_EQ(example.synack_ack, attempt.synack_ack);
  EXPECT_TRUE(example.host_client);
  EXPECT_TRUE(example.learned);
  EXPECT_TRUE(example.syn_dropped);
  EXPECT_FALSE(example.captured) << "another agent copies anew";
  EXPECT_EQ(example.drop_reason, 77);
  EXPECT_EQ(example.conntrack, attempt.conntrack);
  EXPECT_EQ(example.conntrack_source, ConntrackSource::kNetlink);
  EXPECT_EQ(example.cause, attempt.cause);
  EXPECT_EQ(example.outcome, Outcome::kDropped);
  EXPECT_EQ(example.responder_kind, attempt.responder_kind);
}

TEST(ProblemJson, WhatIsNotThereIsNotMadeUp) {
  KeptProblem bare;
  bare.load_balancer = testing::endpoint("10.0.5.5", 443);
  const auto read = problems_from_json(problems_to_json({bare}, kThen), kThen);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->front().problem, ProblemRecord{});
  EXPECT_EQ(read->front().placement, PlacementRecord{});
  EXPECT_FALSE(read->front().newest);
  EXPECT_FALSE(read->front().last_answered);
}

// The wall's times stay; those since boot are before it, and devices have other numbers.
TEST(ProblemJson, AnotherBootCountsTimeAndDevicesAnew) {
  const auto read = problems_from_json(written(), {.boot = "77", .boot_to_wall = 5000s});
  ASSERT_TRUE(read) << read.error().message;
  const KeptProblem& kept = read->front();
  EXPECT_EQ(kept.problem.last_mismatch, 2s - 4000s);
  EXPECT_EQ(kept.problem.opened, 1s - 4000s);
  EXPECT_EQ(kept.problem.target_gone, 12s - 4000s);
  EXPECT_EQ(kept.problem.clients_gone, 13s - 4000s);
  EXPECT_EQ(kept.newest->last_event, 32s - 4000s);
  EXPECT_EQ(kept.newest->example.first_syn, problem().newest->example.first_syn - 4000s);
  EXPECT_EQ(kept.newest->example.synack, problem().newest->example.synack - 4000s);
  EXPECT_EQ(kept.last_answered, WallTime(1035s));
  EXPECT_EQ(kept.newest->example.syn_ifindex, 0);
  EXPECT_EQ(kept.newest->example.synack_ifindex, 0);
  for (const auto& [address, party] : kept.placement.clients) {
    EXPECT_EQ(party.ifindex, 0) << address.to_string();
  }
  EXPECT_EQ(kept.placement.targets.begin()->second.ifindex, 0);
}

// Somebody has set the wall's clock.
TEST(ProblemJson, InOneBootTimesAreWhatTheyWere) {
  const auto read = problems_from_json(written(), {.boot = kThen.boot, .boot_to_wall = 5000s});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->front().problem, problem().problem);
  EXPECT_EQ(read->front().placement, problem().placement);
}

TEST(ProblemJson, ANameThatIsNoTextCostsNothingElse) {
  KeptProblem odd = problem();
  odd.placement.target_names = {"shop/\xff"};
  const auto read = problems_from_json(problems_to_json({odd}, kThen), kThen);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->front().problem, odd.problem);
}

TEST(ProblemJson, WhatIsNotUnderstoodIsNotHalfBelieved) {
  const auto refused = [](const auto& damage) {
    Json json = Json::parse(written());
    damage(json, json["problems"][0]);
    const auto read = problems_from_json(json.dump(), kThen);
    return read ? "" : read.error().message;
  };
  EXPECT_THAT(refused([](Json& json, Json&) { json["schema"] = "hairpind.problems/2"; }),
              HasSubstr("its schema is 'hairpind.problems/2'"));
  EXPECT_THAT(refused([](Json&, Json& first) { first["problem"]["state"] = 4; }), HasSubstr("4 is no value"));
  EXPECT_THAT(refused([](Json&, Json& first) { first["problem"]["proof"] = -1; }), HasSubstr("no value"));
  EXPECT_THAT(refused([](Json&, Json& first) { first["newest"]["cause"] = 200; }), HasSubstr("200 is no value"));
  EXPECT_THAT(refused([](Json&, Json& first) { first["load_balancer"]["ip"] = "10.0.5"; }), HasSubstr("'10.0.5'"));
  for (const char* key : {"mismatched", "opened", "run"}) {
    EXPECT_THAT(refused([&](Json&, Json& first) { first["problem"].erase(key); }), HasSubstr(key));
    EXPECT_THAT(refused([&](Json&, Json& first) { first["problem"][key] = "many"; }), HasSubstr("number"));
  }
  const std::string text = written();
  for (std::size_t length = 0; length + 2 < text.size(); length += 7) {
    EXPECT_FALSE(problems_from_json(text.substr(0, length), kThen)) << length;
  }
}

}  // namespace
}  // namespace hairpind
