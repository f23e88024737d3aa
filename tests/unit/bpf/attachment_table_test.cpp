// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/attachment_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_map.hpp"
#include "fake_tc.hpp"

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using testing::FakeMap;
using testing::FakeTc;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class AttachmentTableTest : public ::testing::Test {
 protected:
  std::optional<hp_device> known(std::uint32_t ifindex) const { return devices.get<hp_device>(ifindex); }

  FakeTc tc;
  FakeMap devices;
  FakeMap node_addresses{2};
  AttachmentTable table{{.attach = [this](auto... place) { return tc.attach(place...); },
                         .remove_leftovers = [this](std::uint32_t ifindex) { return tc.remove_leftovers(ifindex); },
                         .devices = devices,
                         .node_addresses = node_addresses}};
};

TEST_F(AttachmentTableTest, ADevicesRoleSaysWhichProgramsAreOnIt) {
  EXPECT_EQ(table.attach({.ifindex = 7, .role = DeviceRole::kPod, .master_ifindex = 3}), true);
  EXPECT_THAT(tc.programs, ElementsAre(Pair(Pair(7, TcDirection::kIngress), Hook::kFromPod),
                                       Pair(Pair(7, TcDirection::kEgress), Hook::kToPod)));
  EXPECT_EQ(known(7)->role, HP_DEVICE_POD);
  EXPECT_EQ(known(7)->master_ifindex, 3);
  EXPECT_EQ(table.attach({.ifindex = 7, .role = DeviceRole::kUplink}), true);
  EXPECT_THAT(tc.programs, ElementsAre(Pair(Pair(7, TcDirection::kIngress), Hook::kFromNet),
                                       Pair(Pair(7, TcDirection::kEgress), Hook::kToNet)));
  EXPECT_EQ(known(7)->role, HP_DEVICE_UPLINK);
}

TEST_F(AttachmentTableTest, AnswersMayChangeWhereOthersFollowOrADeviceIsNew) {
  const SinceBoot start = std::chrono::seconds(100);
  EXPECT_FALSE(table.answers_may_change({}, start)) << "there is no pod";
  ASSERT_EQ(table.attach({.ifindex = 7, .role = DeviceRole::kUplink}), true);
  tc.followed.insert(7);
  EXPECT_FALSE(table.answers_may_change({}, start)) << "what leaves the node is no pod's";
  ASSERT_EQ(table.attach({.ifindex = 8}), true);
  EXPECT_TRUE(table.answers_may_change({}, start)) << "whose datapath it is may not be there yet";
  EXPECT_TRUE(table.answers_may_change({}, start + std::chrono::milliseconds(1999)));
  EXPECT_FALSE(table.answers_may_change({}, start + std::chrono::seconds(2)));
  tc.followed.insert(8);
  EXPECT_TRUE(table.answers_may_change({}, start + std::chrono::seconds(3)));
  tc.followed.clear();
  EXPECT_FALSE(table.answers_may_change({}, start + std::chrono::seconds(4)));
}

TEST_F(AttachmentTableTest, OfManyDevicesSomeAreAskedAboutInEachTurnAndAllInTheEnd) {
  constexpr std::uint32_t kDevices = 200;
  for (std::uint32_t ifindex = 1; ifindex <= kDevices; ifindex++) {
    ASSERT_EQ(table.attach({.ifindex = ifindex}), true);
  }
  const SinceBoot later = std::chrono::seconds(200);
  static_cast<void>(table.answers_may_change({}, std::chrono::seconds(100)));
  for (const std::uint32_t ifindex : {1U, 100U, kDevices}) {
    tc.followed = {ifindex};
    int turns = 1;
    while (!table.answers_may_change({}, later) && turns < 10) {
      turns++;
    }
    EXPECT_LE(turns, 4) << ifindex;
    tc.followed.clear();
    EXPECT_FALSE(table.answers_may_change({ifindex}, later)) << "its filters changed: asked about at once";
  }
}

TEST_F(AttachmentTableTest, PodsDevicesWithOthersInFrontAreTold) {
  ASSERT_EQ(table.attach({.ifindex = 7, .role = DeviceRole::kUplink}), true);
  ASSERT_EQ(table.attach({.ifindex = 8}), true);
  ASSERT_EQ(table.attach({.ifindex = 9}), true);
  tc.preceded = {7, 8};
  EXPECT_THAT(table.preceded(), ElementsAre(8));
}

TEST_F(AttachmentTableTest, AnotherMasterIsNoReasonToAttachAnew) {
  ASSERT_EQ(table.attach({.ifindex = 7}), true);
  ASSERT_EQ(table.attach({.ifindex = 7}), true);
  ASSERT_EQ(table.attach({.ifindex = 7, .master_ifindex = 9}), true);
  EXPECT_EQ(tc.attempts, 2);
  EXPECT_EQ(known(7)->master_ifindex, 9);
}

TEST_F(AttachmentTableTest, ADeviceThatVanishedIsNoFailureAndOneThatRefusesLeavesNothing) {
  tc.gone = {7};
  EXPECT_EQ(table.attach({.ifindex = 7}), false);
  tc.refused = {{8, TcDirection::kEgress}};
  const auto refused = table.attach({.ifindex = 8});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("hook to_pod: refused"));
  EXPECT_THAT(tc.programs, IsEmpty()) << "not half a device";
  EXPECT_EQ(devices.size(), 0);
  EXPECT_THAT(table.attached(), IsEmpty());
}

TEST_F(AttachmentTableTest, WhatIsDetachedIsGone) {
  ASSERT_EQ(table.attach({.ifindex = 7}), true);
  EXPECT_EQ(table.first_in_line(7), true);
  tc.put_behind = {7};
  EXPECT_EQ(table.first_in_line(7), false);
  table.detach(8);
  table.detach(7);
  EXPECT_THAT(tc.programs, IsEmpty());
  EXPECT_EQ(devices.size(), 0);
}

TEST_F(AttachmentTableTest, NodeAddressesAreReplacedByDifferences) {
  const IpAddress first = *IpAddress::parse("10.0.0.4");
  const IpAddress second = *IpAddress::parse("fd00::4");
  EXPECT_TRUE(table.set_node_addresses({first}));
  EXPECT_TRUE(table.set_node_addresses({first, second}));
  EXPECT_EQ(node_addresses.puts(), 2);
  EXPECT_TRUE(table.set_node_addresses({second}));
  EXPECT_EQ(node_addresses.size(), 1);
  EXPECT_FALSE(table.set_node_addresses({first, second, *IpAddress::parse("10.0.0.5")})) << "there is no room";
}

}  // namespace
}  // namespace hairpind
