// SPDX-License-Identifier: Apache-2.0
#include "backoff.hpp"

#include <gtest/gtest.h>

namespace hairpind {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, DoublesUpToTheLongestAndStartsAnew) {
  std::mt19937 random(7);
  Backoff backoff(100ms, 1000ms, 0ms);
  for (const auto longest : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
    const auto wait = backoff.next(random);
    EXPECT_GE(wait, longest / 2);
    EXPECT_LE(wait, longest);
  }
  backoff.reset();
  EXPECT_LE(backoff.next(random), 100ms);
}

TEST(Backoff, AgentsThatAllStartSpread) {
  std::mt19937 random(7);
  std::chrono::milliseconds earliest = 1h;
  std::chrono::milliseconds latest{0};
  for (int agent = 0; agent < 1000; agent++) {
    Backoff backoff(100ms, 1000ms, 10000ms);
    const auto wait = backoff.next(random);
    earliest = std::min(earliest, wait);
    latest = std::max(latest, wait);
    EXPECT_LE(backoff.next(random), 100ms) << "once only";
  }
  EXPECT_LT(earliest, 200ms);
  EXPECT_GT(latest, 9800ms);
  EXPECT_LE(latest, 10000ms);
  Backoff started(100ms, 1000ms, 10000ms);
  started.started();
  EXPECT_LE(started.next(random), 100ms);
}

}  // namespace
}  // namespace hairpind
