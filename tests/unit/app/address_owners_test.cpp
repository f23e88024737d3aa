// SPDX-License-Identifier: Apache-2.0
// Cilium's map itself needs root: tests/bpf/conntrack_test.cpp.
#include "address_owners.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../bpf/fake_map.hpp"

namespace hairpind {
namespace {

TEST(AddressOwners, WithoutCiliumTheApiServersPodsAreHereByAnUnknownDevice) {
  testing::FakeMap map;
  OwnerTable table(map);
  AddressOwners owners(table, {"/nowhere"});
  const IpAddress first = *IpAddress::parse("10.0.1.10");
  const IpAddress second = *IpAddress::parse("fd00:1::20");
  owners.refresh(std::chrono::seconds(1));
  EXPECT_EQ(map.size(), 0);
  owners.set_pods({first, second});
  owners.refresh(std::chrono::seconds(20));
  EXPECT_EQ(map.get<std::uint32_t>(first.to_abi()), 0);
  EXPECT_EQ(map.get<std::uint32_t>(second.to_abi()), 0);
  owners.set_pods({second});
  EXPECT_EQ(map.size(), 1);
  EXPECT_EQ(map.puts(), 2);
}

}  // namespace
}  // namespace hairpind
