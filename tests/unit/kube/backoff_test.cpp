// SPDX-License-Identifier: Apache-2.0
#include "backoff.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace hairpind {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, AMomentThenTheSpreadThenTwiceAsLongUpToTheLongest) {
  std::mt19937 random(7);
  Backoff backoff({});
  for (int round = 0; round < 50; round++) {
    EXPECT_EQ(backoff.failed(random), 100ms);
    EXPECT_LE(backoff.failed(random), 10s);
    for (const auto longest : {10s, 20s, 30s, 30s, 30s}) {
      const auto wait = backoff.failed(random);
      EXPECT_GE(wait, longest / 2);
      EXPECT_LE(wait, longest);
    }
    backoff.reset();
  }
}

TEST(Backoff, NothingIsLongerThanTheLongest) {
  std::mt19937 random(7);
  Backoff backoff({.first = 5ms, .spread = 0ms, .longest = 8ms});
  EXPECT_EQ(backoff.failed(random), 5ms);
  EXPECT_EQ(backoff.failed(random), 0ms);
  for (int i = 0; i < 100; i++) {
    EXPECT_LE(backoff.failed(random), 8ms);
  }
}

// Of five thousand agents no hundredth of the spread has more than twice its share.
void expect_spread(const std::function<std::chrono::milliseconds(std::mt19937&)>& wait) {
  constexpr int kAgents = 5000;
  constexpr int kSlots = 100;
  std::vector<int> slots(kSlots + 1);
  for (unsigned agent = 0; agent < kAgents; agent++) {
    std::mt19937 random(agent);
    slots.at(static_cast<std::size_t>(wait(random) / (10000ms / kSlots)))++;
  }
  for (int slot = 0; slot < kSlots; slot++) {
    EXPECT_GT(slots.at(static_cast<std::size_t>(slot)), 0) << slot;
    EXPECT_LT(slots.at(static_cast<std::size_t>(slot)), 2 * kAgents / kSlots) << slot;
  }
}

TEST(Backoff, FiveThousandAgentsComeBackSpreadOverTenSeconds) {
  expect_spread([](std::mt19937& random) {
    Backoff backoff({});
    backoff.failed(random);
    return backoff.failed(random);
  });
  expect_spread([](std::mt19937& random) { return Backoff({}).ended(random); });
}

TEST(Backoff, AnEndIsNoFailure) {
  std::mt19937 random(7);
  Backoff backoff({});
  for (int i = 0; i < 10; i++) {
    EXPECT_LE(backoff.ended(random), 10s);
  }
  EXPECT_EQ(backoff.failed(random), 100ms);
}

}  // namespace
}  // namespace hairpind
