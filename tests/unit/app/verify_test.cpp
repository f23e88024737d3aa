// SPDX-License-Identifier: Apache-2.0
#include "verify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

const Endpoint kFirst{.address = *IpAddress::parse("10.0.5.5"), .port = 443};
const Endpoint kSecond{.address = *IpAddress::parse("fd00:5::5"), .port = 443};

VerifyReport report(std::uint64_t answered, std::uint64_t refused = 0, std::uint64_t unanswered = 0) {
  VerifyReport result{.load_balancer = "lb.example.com:443", .tried = {}, .agent = {}, .targets = {}};
  const auto add = [&](Handshake ended, std::uint64_t count) {
    result.tried.insert(result.tried.end(), count, {.load_balancer = kFirst, .ended = ended, .took = 1500us});
  };
  add(Handshake::kAnswered, answered);
  add(Handshake::kRefused, refused);
  add(Handshake::kUnanswered, unanswered);
  return result;
}

TEST(Verify, SaysWhatWasFoundAndWhatItMeans) {
  EXPECT_THAT(render_verification(report(14, 0, 6)),
              HasSubstr("lb.example.com:443, 20 connections: 14 answered, 0 refused, 6 unanswered; answered after 1.50 "
                        "ms at least"));
  EXPECT_THAT(render_verification(report(14, 0, 6)), HasSubstr("the target answers past it"));
  EXPECT_THAT(render_verification(report(0, 5)), HasSubstr("no sign of a hairpin"));
  EXPECT_THAT(render_verification(report(0, 5)), Not(HasSubstr("answered after")));
}

TEST(Verify, SaysWhetherItMayBeLuck) {
  EXPECT_THAT(render_verification(report(20)), HasSubstr("18 connections tell with 3 of them, 66 with 10"));
  VerifyReport enough = report(18);
  enough.targets = 3;
  EXPECT_THAT(render_verification(enough), HasSubstr("chance alone would have missed it 0.068 % of the time"));
  VerifyReport luck = report(17);
  luck.targets = 3;
  EXPECT_THAT(render_verification(luck), HasSubstr("may be luck"));
  EXPECT_THAT(render_verification(luck), HasSubstr("(--count 18)"));
  luck.tried[0].ended = Handshake::kUnanswered;
  EXPECT_THAT(render_verification(luck), Not(HasSubstr("luck")));
}

TEST(Verify, EachAddressHasItsRow) {
  VerifyReport both = report(2);
  EXPECT_THAT(render_verification(both), Not(HasSubstr("10.0.5.5:443")));
  both.tried.push_back({.load_balancer = kSecond, .ended = Handshake::kUnanswered, .took = 3s});
  EXPECT_THAT(render_verification(both), HasSubstr("\n  10.0.5.5:443, 2 connections: 2 answered"));
  EXPECT_THAT(render_verification(both), HasSubstr("\n  [fd00:5::5]:443, 1 connections: 0 answered"));
}

std::string agents_status(int answered, int mismatched, int same_node, const char* state) {
  return nlohmann::json{{"load_balancers",
                         {{{"lb", "10.0.5.5:443"},
                           {"answered", answered},
                           {"mismatched", mismatched},
                           {"same_node_answered", same_node},
                           {"state", state}},
                          {{"lb", "10.0.5.6:443"},
                           {"answered", 100 * answered},
                           {"mismatched", 7},
                           {"same_node_answered", 7},
                           {"state", "active"}}}}}
      .dump();
}

TEST(Verify, JoinsWhatTheAgentCounted) {
  const auto view = agents_view(agents_status(5, 1, 0, "active"), agents_status(12, 4, 2, "quiet"), {kFirst, kSecond});
  ASSERT_TRUE(view);
  EXPECT_EQ(view->answered, 7);
  EXPECT_EQ(view->mismatched, 3);
  EXPECT_EQ(view->same_node_answered, 2);
  EXPECT_EQ(view->state, "quiet");
  VerifyReport joined = report(7, 0, 3);
  joined.agent = view;
  EXPECT_THAT(render_verification(joined), HasSubstr("7 answered (2 of them by way of a target on this node), 3 "
                                                     "misdirected; the load balancer's problem is quiet.\n"));
  EXPECT_EQ(nlohmann::json::parse(verification_json(joined))["agent"]["mismatched"], 3);
}

TEST(Verify, AnAgentThatSaysNothingOfItIsNotJoined) {
  EXPECT_FALSE(agents_view("", "", {kFirst}));
  EXPECT_FALSE(agents_view(agents_status(5, 1, 0, "active"), "{}", {kFirst}));
  EXPECT_FALSE(agents_view(agents_status(5, 1, 0, "active"), agents_status(5, 1, 0, "active"), {kSecond}));
  const auto first_call = agents_view("not yet", agents_status(5, 1, 0, "active"), {kFirst});
  ASSERT_TRUE(first_call);
  EXPECT_EQ(first_call->answered, 5);
}

TEST(Verify, TheSameAsJson) {
  VerifyReport both = report(2, 1);
  both.tried.push_back({.load_balancer = kSecond, .ended = Handshake::kUnanswered, .took = 3s});
  both.targets = 3;
  const auto json = nlohmann::json::parse(verification_json(both));
  EXPECT_EQ(json["load_balancer"], "lb.example.com:443");
  EXPECT_EQ(json["connections"], 4);
  EXPECT_EQ(json["answered"], 2);
  EXPECT_EQ(json["refused"], 1);
  EXPECT_EQ(json["unanswered"], 1);
  EXPECT_EQ(json["latency_ms"]["p99"], 1.5);
  EXPECT_EQ(json["targets"], 3);
  EXPECT_EQ(json["connections_needed"], 18);
  ASSERT_EQ(json["addresses"].size(), 2);
  EXPECT_EQ(json["addresses"][1]["address"], "[fd00:5::5]:443");
  EXPECT_TRUE(json["addresses"][1]["latency_ms"].is_null());
  EXPECT_TRUE(nlohmann::json::parse(verification_json(report(1)))["targets"].is_null());
}

}  // namespace
}  // namespace hairpind
