// SPDX-License-Identifier: Apache-2.0
#include "attachments.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "../bpf/fake_map.hpp"
#include "../bpf/fake_tc.hpp"

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using testing::FakeMap;
using testing::FakeTc;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

/// What is logged while it lives.
class Log {
 public:
  Log() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("", sink_)); }
  ~Log() { spdlog::set_default_logger(before_); }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Since the last call.
  std::string take() { return std::exchange(text_, std::ostringstream()).str(); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::sinks::ostream_sink_st> sink_ = std::make_shared<spdlog::sinks::ostream_sink_st>(text_);
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

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

TEST_F(AttachmentsTest, WhoCrowdsTheTablesIsLoggedOnceAMinuteAtTheMost) {
  add_pod(1);
  attachments.on_network(view);
  Log log;
  attachments.on_crowded(0, 1, 5s);
  EXPECT_THAT(log.take(), IsEmpty()) << "nobody";
  attachments.on_crowded(100, 1, 10s);
  const std::string first = log.take();
  EXPECT_THAT(first, HasSubstr("100 connection attempts were given up"));
  EXPECT_THAT(first, HasSubstr("interface veth1 has the most of them"));
  for (std::uint64_t second = 11; second < 70; second++) {
    attachments.on_crowded(100 * second, 1, std::chrono::seconds(second));
  }
  EXPECT_THAT(log.take(), IsEmpty()) << "within a minute";
  attachments.on_crowded(8000, 0, 70s);
  const std::string second = log.take();
  EXPECT_THAT(second, HasSubstr("7900 connection attempts")) << "all since the last line";
  EXPECT_THAT(second, HasSubstr("the network has the most of them"));
  attachments.on_crowded(8000, 0, 200s);
  EXPECT_THAT(log.take(), IsEmpty()) << "none since";
}

TEST_F(AttachmentsTest, WhoSendsInOthersNamesIsLoggedOnce) {
  add_pod(1);
  add_pod(2);
  attachments.on_network(view);
  Log log;
  attachments.on_spoofed(9, 1);
  EXPECT_THAT(log.take(), IsEmpty()) << "few";
  attachments.on_spoofed(29, 1);
  EXPECT_THAT(log.take(), HasSubstr("interface veth1: 20 handshake packets"));
  attachments.on_spoofed(100, 1);
  EXPECT_THAT(log.take(), IsEmpty()) << "said";
  attachments.on_spoofed(200, 2);
  EXPECT_THAT(log.take(), HasSubstr("interface veth2")) << "another device";
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
