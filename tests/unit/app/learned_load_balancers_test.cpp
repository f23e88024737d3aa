// SPDX-License-Identifier: Apache-2.0
#include "learned_load_balancers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../core/attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr SinceBoot kStart = 1000h;

class LearnedLoadBalancersTest : public ::testing::Test {
 protected:
  LearnedChanges learn(std::uint16_t port, std::uint32_t ifindex = 1, SinceBoot now = kStart) {
    Attempt attempt = testing::ip_target_attempt();
    attempt.load_balancer.port = port;
    attempt.syn_ifindex = ifindex;
    return learned.on_learned(attempt, now);
  }
  LearnedChanges count(std::uint16_t port, std::uint64_t syns, SinceBoot now) {
    LoadBalancerCounters row;
    row.load_balancer = testing::endpoint("10.0.5.5", port);
    row.syns = syns;
    return learned.on_counts({row}, now);
  }
  static Frontend frontend(std::uint16_t port) {
    return {.address = testing::endpoint("10.0.5.5", port).address, .port = port};
  }

  LearnedLoadBalancers learned;
};

TEST_F(LearnedLoadBalancersTest, IsWatchedUntilADayAfterTheLastCall) {
  EXPECT_THAT(learn(443).added, ElementsAre(frontend(443)));
  EXPECT_THAT(count(443, 1, kStart + 1s).removed, IsEmpty());
  EXPECT_THAT(count(443, 2, kStart + 10h).removed, IsEmpty());
  EXPECT_THAT(count(443, 2, kStart + 34h).removed, IsEmpty());
  EXPECT_THAT(count(443, 2, kStart + 34h + 1s).removed, ElementsAre(frontend(443)));
  EXPECT_THAT(count(443, 2, kStart + 35h).removed, IsEmpty()) << "once";
  EXPECT_THAT(learn(443, 1, kStart + 36h).added, ElementsAre(frontend(443)));
}

TEST_F(LearnedLoadBalancersTest, FoundAgainIsCalled) {
  static_cast<void>(learn(443));
  EXPECT_THAT(learn(443, 1, kStart + 20h).added, ElementsAre(frontend(443))) << "in case the kernel had no room";
  EXPECT_THAT(count(443, 0, kStart + 30h).removed, IsEmpty());
}

TEST_F(LearnedLoadBalancersTest, IsBoundedAndAFloodTakesItsOwnPlaces) {
  for (std::uint16_t port = 1; port <= LearnedLoadBalancers::kMost; port++) {
    EXPECT_EQ(learn(port, 7, kStart + std::chrono::seconds(port)).added.size(), 1);
  }
  const LearnedChanges refused = learn(1000, 7, kStart + 1h);
  EXPECT_THAT(refused.added, IsEmpty()) << "the flood's own";
  EXPECT_THAT(refused.removed, IsEmpty());
  const LearnedChanges other = learn(1001, 8, kStart + 1h);
  EXPECT_THAT(other.added, ElementsAre(frontend(1001)));
  EXPECT_THAT(other.removed, ElementsAre(frontend(1))) << "the flood's, unused for longest";
  EXPECT_THAT(learn(1002, 9, kStart + 1h).removed, ElementsAre(frontend(2)));
  EXPECT_THAT(learn(1001, 8, kStart + 1h).removed, IsEmpty()) << "known";
}

}  // namespace
}  // namespace hairpind
