// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/capture_table.hpp"

#include <gtest/gtest.h>

#include "fake_map.hpp"
#include "hairpind/abi.h"

namespace hairpind {
namespace {

TEST(CaptureTable, TellsHowManyPairsThereAreOnceTheyAreThere) {
  testing::FakeMap map(2);
  std::uint32_t armed = 99;
  CaptureTable table({.captures = map, .set_armed = [&](std::uint32_t entries) { armed = entries; }});
  const auto pair = [](const char* client) {
    return CallingPair{.client = *IpAddress::parse(client),
                       .load_balancer = {.address = *IpAddress::parse("10.0.5.5"), .port = 443}};
  };
  const auto left = [&](const CallingPair& of) {
    return map.get<std::uint32_t>(hp_caller_key{.client = of.client.to_abi(), .lb = of.load_balancer.to_abi()});
  };
  EXPECT_TRUE(table.set(pair("10.0.1.10"), 2));
  EXPECT_EQ(left(pair("10.0.1.10")), 2);
  EXPECT_EQ(armed, 1);
  EXPECT_TRUE(table.set(pair("10.0.1.10"), 4));
  EXPECT_EQ(left(pair("10.0.1.10")), 4);
  EXPECT_EQ(armed, 1);
  EXPECT_TRUE(table.set(pair("10.0.1.11"), 1));
  EXPECT_EQ(armed, 2);
  EXPECT_FALSE(table.set(pair("10.0.1.12"), 1)) << "no room";
  EXPECT_EQ(armed, 2);
  EXPECT_TRUE(table.set(pair("10.0.1.10"), 0));
  EXPECT_TRUE(table.set(pair("10.0.1.11"), 0));
  EXPECT_TRUE(table.set(pair("10.0.1.13"), 0)) << "none anyway";
  EXPECT_EQ(map.size(), 0);
  EXPECT_EQ(armed, 0);
}

}  // namespace
}  // namespace hairpind
