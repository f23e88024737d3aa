// SPDX-License-Identifier: Apache-2.0
#include "load_balancer_routes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

class LoadBalancerRoutesTest : public ::testing::Test {
 protected:
  std::map<IpAddress, std::set<std::uint32_t>> kernel;
  bool refuses = false;
  int asked = 0;
  LoadBalancerRoutes routes{[this](const IpAddress& address) -> Result<std::set<std::uint32_t>> {
    asked++;
    return refuses ? Result<std::set<std::uint32_t>>(fail("refused")) : kernel[address];
  }};
};

TEST_F(LoadBalancerRoutesTest, NewOnesAreAskedAboutAtOnceAndOthersWhenRoutesChange) {
  kernel[ip("10.0.5.5")] = {3};
  EXPECT_TRUE(routes.set_load_balancers({ip("10.0.5.5")}));
  EXPECT_THAT(routes.devices(), ElementsAre(Pair(ip("10.0.5.5"), ElementsAre(3))));
  EXPECT_FALSE(routes.set_load_balancers({ip("10.0.5.5")}));
  EXPECT_FALSE(routes.on_turn(false));
  EXPECT_EQ(asked, 1);
  kernel[ip("10.0.5.5")] = {4};
  EXPECT_FALSE(routes.on_turn(false)) << "nothing says so yet";
  EXPECT_TRUE(routes.on_turn(true));
  EXPECT_THAT(routes.devices(), ElementsAre(Pair(ip("10.0.5.5"), ElementsAre(4))));
  EXPECT_FALSE(routes.on_turn(true)) << "it is what it was";
  EXPECT_TRUE(routes.set_load_balancers({}));
  EXPECT_TRUE(routes.devices().empty());
}

TEST_F(LoadBalancerRoutesTest, ManyAreAskedAboutInTurn) {
  std::set<IpAddress> many;
  for (int i = 0; i < 1200; i++) {
    many.insert(ip(("10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250)).c_str()));
  }
  routes.set_load_balancers(many);
  EXPECT_LT(asked, 600) << "the loop has others to serve";
  routes.on_turn(false);
  routes.on_turn(false);
  EXPECT_EQ(asked, 1200);
}

TEST_F(LoadBalancerRoutesTest, WhatTheKernelDoesNotTellStaysAsItWas) {
  kernel[ip("10.0.5.5")] = {3};
  routes.set_load_balancers({ip("10.0.5.5")});
  refuses = true;
  EXPECT_FALSE(routes.on_turn(true));
  EXPECT_THAT(routes.devices(), ElementsAre(Pair(ip("10.0.5.5"), ElementsAre(3))));
}

}  // namespace
}  // namespace hairpind
