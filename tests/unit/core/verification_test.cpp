// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/verification.hpp"

#include <gtest/gtest.h>

namespace hairpind {
namespace {

using namespace std::chrono_literals;

TEST(Verification, CountsAndLatenciesOfTheAnswered) {
  std::vector<TriedHandshake> tried;
  for (int i = 200; i >= 1; i--) {
    tried.push_back({.load_balancer = {}, .ended = Handshake::kAnswered, .took = i * 1us});
  }
  tried.push_back({.load_balancer = {}, .ended = Handshake::kRefused, .took = 9s});
  tried.push_back({.load_balancer = {}, .ended = Handshake::kUnanswered, .took = 9s});
  tried.push_back({.load_balancer = {}, .ended = Handshake::kUnanswered, .took = 9s});
  const Verification found = Verification::of(tried);
  EXPECT_EQ(found.answered, 200);
  EXPECT_EQ(found.refused, 1);
  EXPECT_EQ(found.unanswered, 2);
  EXPECT_EQ(found.total(), 203);
  EXPECT_EQ(found.least, 1us);
  EXPECT_EQ(found.median, 100us);
  EXPECT_EQ(found.p99, 198us);
  EXPECT_EQ(Verification::of({}).p99, 0us);
  EXPECT_EQ(Verification::of({tried[0]}).median, 200us);
}

TEST(Verification, HowManyTell) {
  EXPECT_EQ(connections_needed(1), 1);
  EXPECT_EQ(connections_needed(2), 10) << "1/1024 is less than 1/1000";
  EXPECT_EQ(connections_needed(3), 18);
  EXPECT_EQ(connections_needed(10), 66);
  for (const std::uint64_t targets : {2U, 3U, 7U, 50U, 1000U, 1000000U}) {
    const std::uint64_t needed = connections_needed(targets);
    EXPECT_LT(chance_of_luck(targets, needed), 0.001) << targets;
    EXPECT_GE(chance_of_luck(targets, needed - 1), 0.001) << targets;
  }
  EXPECT_EQ(chance_of_luck(1, 1), 0);
  EXPECT_EQ(chance_of_luck(4, 0), 1);
}

}  // namespace
}  // namespace hairpind
