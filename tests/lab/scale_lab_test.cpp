// SPDX-License-Identifier: Apache-2.0
// A node full of pods, and pods that come and go quickly. Needs root.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <thread>

#include "agent_process.hpp"
#include "kernel.hpp"
#include "lab_test.hpp"
#include "pod_interfaces.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

constexpr int kPods = 250;
constexpr int kOwnPods = 2;  ///< the lab's p1 and p2

class ScaleTest : public LabTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    LabTest::SetUp();
    if (!IsSkipped()) {
      lab().set_mode("ip-target");
    }
  }

  static std::unique_ptr<AgentProcess> start_agent() {
    auto agent =
        std::make_unique<AgentProcess>(lab(), std::vector<std::string>{"--lb", "10.0.5.5:443", "--attach", GetParam()});
    EXPECT_TRUE(agent->wait_until_ready());
    return agent;
  }

  static bool attached(const AgentProcess& agent, int pods) {
    const std::string mode = "\",mode=\"" + GetParam() + "\"}";
    return agent.metric("hairpind_interfaces_attached{hook=\"from_pod" + mode) == pods &&
           agent.metric("hairpind_interfaces_attached{hook=\"to_pod" + mode) == pods;
  }

  // The least of some looks: one look may meet a socket that is open for a moment.
  static std::ptrdiff_t open_descriptors(const AgentProcess& agent) {
    auto least = std::numeric_limits<std::ptrdiff_t>::max();
    for (int look = 0; look < 50; look++) {
      const std::filesystem::directory_iterator all("/proc/" + std::to_string(agent.pid()) + "/fd");
      least = std::min(least, std::distance(begin(all), end(all)));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return least;
  }
};

INSTANTIATE_TEST_SUITE_P(Lab, ScaleTest, ::testing::ValuesIn(attach_modes()),
                         [](const auto& test) { return test.param; });

TEST_P(ScaleTest, EveryPodIsAttachedAtTheStart) {
  add_pod_interfaces(lab(), 0, kPods);
  {
    const auto agent = start_agent();
    // Not "eventually": ready means attached.
    EXPECT_TRUE(attached(*agent, kOwnPods + kPods)) << agent->standard_error();
    EXPECT_EQ(agent->metric("hairpind_attach_failures_total"), 0);
  }
  remove_pod_interfaces(lab(), 0, kPods);
}

// Fifty a second, or as many as the machine makes. With TCX links that is fewer: attaching one, and the end of its
// device, wait for an RCU grace period each, in which nothing else can change (rtnl).
TEST_P(ScaleTest, PodsThatComeAndGoLeaveNothingBehind) {
  constexpr int kPasses = 60;
  constexpr int kAtOnce = 10;
  constexpr int kAlive = 5 * kAtOnce;
  constexpr std::chrono::milliseconds kPass{200};
  const auto agent = start_agent();
  add_pod_interfaces(lab(), 0, kAlive);
  ASSERT_TRUE(eventually([&] { return attached(*agent, kOwnPods + kAlive); }));
  const auto descriptors = open_descriptors(*agent);
  const auto memory = agent->resident_kib();
  int oldest = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int pass = 0; pass < kPasses; pass++) {
    add_pod_interfaces(lab(), oldest + kAlive, kAtOnce);
    remove_pod_interfaces(lab(), oldest, kAtOnce);
    oldest += kAtOnce;
    std::this_thread::sleep_until(start + (pass + 1) * kPass);
  }
  std::cout << oldest << " pods in " << std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()
            << " s\n";
  EXPECT_TRUE(eventually([&] { return attached(*agent, kOwnPods + kAlive); })) << agent->standard_error();
  EXPECT_EQ(agent->metric("hairpind_attach_failures_total"), 0) << agent->standard_error();
  EXPECT_EQ(open_descriptors(*agent), descriptors);
  EXPECT_LE(agent->resident_kib(), memory + 4 * std::uint64_t{1024});
  lab().inside("p1", [] { const PendingConnections connections("10.0.5.5", 443, 3); });
  EXPECT_TRUE(eventually([&] { return agent->metric_sum("hairpind_mismatches_total") == 3; }));
  remove_pod_interfaces(lab(), oldest, kAlive);
  EXPECT_TRUE(eventually([&] { return attached(*agent, kOwnPods); }));
  // A TCX link is a descriptor of the agent's, a filter is not.
  const std::ptrdiff_t links = GetParam() == "tcx" ? 2 : 0;
  EXPECT_EQ(open_descriptors(*agent), descriptors - links * kAlive);
}

}  // namespace
}  // namespace hairpind::testing
