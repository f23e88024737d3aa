// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/owner_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_map.hpp"

namespace hairpind {
namespace {

using testing::FakeMap;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

TEST(OwnerTable, HasWhatItWasToldLastByDifferences) {
  FakeMap map;
  OwnerTable table(map);
  const auto owner = [&](const char* address) { return map.get<std::uint32_t>(ip(address).to_abi()); };
  ASSERT_TRUE(table.set({{ip("10.0.1.10"), 7}, {ip("fd00:1::20"), 8}, {ip("10.0.1.30"), 0}}));
  EXPECT_EQ(owner("10.0.1.10"), 7);
  EXPECT_EQ(owner("fd00:1::20"), 8);
  EXPECT_EQ(owner("10.0.1.30"), 0);
  ASSERT_TRUE(table.set({{ip("10.0.1.10"), 7}, {ip("fd00:1::20"), 9}}));
  EXPECT_EQ(owner("fd00:1::20"), 9) << "on another device";
  EXPECT_EQ(map.size(), 2);
  EXPECT_EQ(map.puts(), 4) << "what is as it was, is not written";
}

TEST(OwnerTable, WhatFindsNoRoomIsTriedAgain) {
  FakeMap map(1);
  OwnerTable table(map);
  ASSERT_FALSE(table.set({{ip("10.0.1.10"), 7}, {ip("10.0.1.20"), 8}}));
  // Removed first, which makes room.
  EXPECT_TRUE(table.set({{ip("10.0.1.20"), 8}}));
  EXPECT_EQ(map.get<std::uint32_t>(ip("10.0.1.20").to_abi()), 8);
  map.make_room(2);
  EXPECT_TRUE(table.set({{ip("10.0.1.10"), 7}, {ip("10.0.1.20"), 8}}));
  EXPECT_EQ(map.size(), 2);
}

}  // namespace
}  // namespace hairpind
