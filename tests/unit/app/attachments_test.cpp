// SPDX-License-Identifier: Apache-2.0
#include "attachments.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../bpf/fake_map.hpp"
#include "../bpf/fake_tc.hpp"

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using testing::FakeMap;
using testing::FakeTc;

class AttachmentsTest : public ::testing::Test {
 protected:
  void add_pod(std::uint32_t ifindex) {
    view.interfaces[ifindex] = {
        .ifindex = ifindex, .name = "veth" + std::to_string(ifindex), .kind = "veth", .peer_in_other_namespace = true};
  }
  int step_until_done() {
    int steps = 1;
    while (attachments.step()) {
      steps++;
    }
    return steps;
  }

  FakeTc tc;
  FakeMap devices;
  FakeMap node_addresses;
  NetworkView view;
  AttachmentTable table{{.attach = [this](auto... place) { return tc.attach(place...); },
                         .remove_leftovers = [this](std::uint32_t ifindex) { return tc.remove_leftovers(ifindex); },
                         .devices = devices,
                         .node_addresses = node_addresses}};
  Attachments attachments{table, {}};
};

TEST_F(AttachmentsTest, OneDeviceAStepUntilAllAreAttached) {
  for (const std::uint32_t ifindex : {1U, 2U, 3U}) {
    add_pod(ifindex);
  }
  EXPECT_FALSE(attachments.status().complete) << "the node has not been looked at";
  attachments.on_network(view);
  EXPECT_FALSE(attachments.status().complete);
  EXPECT_EQ(attachments.status().pods, 0) << "nothing is attached while somebody looks";
  EXPECT_TRUE(attachments.step());
  EXPECT_EQ(attachments.status().pods, 1);
  EXPECT_EQ(step_until_done(), 2);
  EXPECT_TRUE(attachments.status().complete);
  EXPECT_EQ(attachments.status().pods, 3);
  add_pod(4);
  attachments.on_network(view);
  EXPECT_TRUE(attachments.status().complete) << "a pod that comes later makes nobody unready";
  EXPECT_TRUE(attachments.waiting());
}

TEST_F(AttachmentsTest, WhatLeavesIsDetachedAndWhatComesIsAttached) {
  add_pod(1);
  attachments.on_network(view);
  step_until_done();
  view.interfaces.clear();
  add_pod(2);
  view.interfaces[9] = {.ifindex = 9, .name = "eth0", .kind = {}, .has_default_route = true};
  attachments.on_network(view);
  EXPECT_EQ(tc.programs.count({1, TcDirection::kIngress}), 0) << "at once";
  step_until_done();
  EXPECT_EQ(attachments.status().pods, 1);
  EXPECT_EQ(attachments.status().uplinks, 1);
}

TEST_F(AttachmentsTest, AFailureIsCountedAndTriedAgainOnceASecondOnly) {
  add_pod(1);
  tc.refused = {{1, TcDirection::kIngress}};
  attachments.on_network(view);
  step_until_done();
  EXPECT_TRUE(attachments.status().complete) << "it has been tried";
  EXPECT_TRUE(attachments.status().nothing_watched);
  EXPECT_EQ(attachments.status().failures, 1);
  attachments.on_network(view);
  step_until_done();
  EXPECT_EQ(attachments.status().failures, 1) << "a change of the network is no reason";
  tc.refused.clear();
  attachments.retry();
  step_until_done();
  EXPECT_EQ(attachments.status().pods, 1);
  EXPECT_FALSE(attachments.status().nothing_watched);
  attachments.retry();
  EXPECT_FALSE(attachments.waiting()) << "nothing is left to be tried";
}

TEST_F(AttachmentsTest, ADeviceThatVanishesMeanwhileIsNotTriedForEver) {
  add_pod(1);
  tc.gone = {1};
  attachments.on_network(view);
  EXPECT_EQ(step_until_done(), 1);
  EXPECT_EQ(attachments.status().failures, 0);
  EXPECT_TRUE(attachments.status().complete);
}

TEST_F(AttachmentsTest, WhoCameBeforeOursIsFoundInTheNextSecond) {
  add_pod(1);
  attachments.on_network(view);
  step_until_done();
  tc.put_behind = {1};
  attachments.on_filters_changed({1, 77});
  EXPECT_EQ(attachments.status().pods, 1) << "not at once";
  attachments.retry();
  EXPECT_EQ(attachments.status().pods, 0);
  tc.put_behind.clear();
  step_until_done();
  EXPECT_EQ(attachments.status().pods, 1);
}

TEST_F(AttachmentsTest, LeftoversAreLookedForOnEveryDeviceAndTheEndTakesAllOff) {
  add_pod(1);
  view.interfaces[5] = {.ifindex = 5, .name = "dummy0", .kind = "dummy"};
  attachments.remove_leftovers(view);
  EXPECT_THAT(tc.cleaned, ElementsAre(1, 5));
  add_pod(2);
  attachments.on_network(view);
  step_until_done();
  EXPECT_TRUE(attachments.detach_one());
  EXPECT_FALSE(attachments.detach_one());
  EXPECT_TRUE(tc.programs.empty());
}

}  // namespace
}  // namespace hairpind
