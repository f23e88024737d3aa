// SPDX-License-Identifier: Apache-2.0
// A node full of pods, and pods that come and go quickly. Needs root.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "agent_process.hpp"
#include "lab_test.hpp"
#include "pod_interfaces.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

constexpr int kPods = 250;
constexpr int kOwnPods = 2;  ///< the lab's p1 and p2

class ScaleTest : public LabTest {
 protected:
  void SetUp() override {
    LabTest::SetUp();
    if (!IsSkipped()) {
      lab().set_mode("ip-target");
    }
  }

  static std::unique_ptr<AgentProcess> start_agent() {
    auto agent = std::make_unique<AgentProcess>(lab(), std::vector<std::string>{"--lb", "10.0.5.5:443"});
    EXPECT_TRUE(agent->wait_until_ready());
    return agent;
  }

  static bool attached(const AgentProcess& agent, int pods) {
    return agent.metric("hairpind_interfaces_attached{hook=\"from_pod\",mode=\"tcx\"}") == pods &&
           agent.metric("hairpind_interfaces_attached{hook=\"to_pod\",mode=\"tcx\"}") == pods;
  }

  static std::ptrdiff_t open_descriptors(const AgentProcess& agent) {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(agent.pid()) + "/fd");
    return std::distance(begin(all), end(all));
  }
};

TEST_F(ScaleTest, EveryPodIsAttachedAtTheStart) {
  add_pod_interfaces(lab(), 0, kPods);
  {
    const auto agent = start_agent();
    // Not "eventually": ready means attached.
    EXPECT_TRUE(attached(*agent, kOwnPods + kPods)) << agent->standard_error();
    EXPECT_EQ(agent->metric("hairpind_attach_failures_total"), 0);
  }
  remove_pod_interfaces(lab(), 0, kPods);
}

// As fast as the machine makes them. Fifty a second is more than a kernel takes with TCX links: attaching one, and the
// end of its device, wait for an RCU grace period each, in which nothing else can change (rtnl).
TEST_F(ScaleTest, PodsThatComeAndGoLeaveNothingBehind) {
  constexpr int kPasses = 60;
  constexpr int kAtOnce = 10;
  constexpr int kAlive = 5 * kAtOnce;
  const auto agent = start_agent();
  add_pod_interfaces(lab(), 0, kAlive);
  ASSERT_TRUE(eventually([&] { return attached(*agent, kOwnPods + kAlive); }));
  const auto descriptors = open_descriptors(*agent);
  const auto memory = agent->resident_kib();
  int oldest = 0;
  for (int pass = 0; pass < kPasses; pass++) {
    add_pod_interfaces(lab(), oldest + kAlive, kAtOnce);
    remove_pod_interfaces(lab(), oldest, kAtOnce);
    oldest += kAtOnce;
  }
  EXPECT_TRUE(eventually([&] { return attached(*agent, kOwnPods + kAlive); })) << agent->standard_error();
  EXPECT_EQ(agent->metric("hairpind_attach_failures_total"), 0) << agent->standard_error();
  EXPECT_EQ(open_descriptors(*agent), descriptors) << "a TCX link is a descriptor of the agent's";
  EXPECT_LE(agent->resident_kib(), memory + 4 * std::uint64_t{1024});
  lab().inside("p1", [] { const PendingConnections connections("10.0.5.5", 443, 3); });
  EXPECT_TRUE(eventually([&] { return agent->metric_sum("hairpind_mismatches_total") == 3; }));
  remove_pod_interfaces(lab(), oldest, kAlive);
  EXPECT_TRUE(eventually([&] { return attached(*agent, kOwnPods); }));
  EXPECT_EQ(open_descriptors(*agent), descriptors - std::ptrdiff_t{2} * kAlive);
}

}  // namespace
}  // namespace hairpind::testing
