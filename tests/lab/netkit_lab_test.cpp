// SPDX-License-Identifier: Apache-2.0
// Pods on netkit devices, which the node routes to, or whose own programs redirect what the pod sends before it is
// received: found, attached, judged as on veth. Needs root, and a kernel that has netkit (6.7).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "agent_process.hpp"
#include "network_lab.hpp"
#include "tc_programs.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;

constexpr int kConnections = 10;
constexpr int kRequests = 50;
constexpr const char* kLoadBalancers[] = {"10.0.5.5", "fd00:5::5"};

// lab.sh's datapath: frames as on Ethernet, packets that begin with the IP header, or frames and a datapath in BPF.
class NetkitTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    lab = std::make_unique<NetworkLab>(GetParam());
    if (!lab->unavailable().empty()) {
      GTEST_SKIP() << lab->unavailable();
    }
  }

  void start_agent(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443", "--handshake-timeout", "5",
                             "--repeat-interval", "3600"});
    agent = std::make_unique<AgentProcess>(*lab, more);
    ASSERT_TRUE(agent->wait_until_ready());
  }

  [[nodiscard]] static bool redirects() { return GetParam() == std::string("netkit-redirect"); }

  std::unique_ptr<NetworkLab> lab;
  std::unique_ptr<AgentProcess> agent;
};

INSTANTIATE_TEST_SUITE_P(Lab, NetkitTest, ::testing::Values("netkit-l2", "netkit-l3", "netkit-redirect"),
                         [](const auto& test) {
                           return std::string(test.param).substr(std::string("netkit-").size());
                         });

TEST_P(NetkitTest, IsFoundAndAttached) {
  start_agent();
  EXPECT_EQ(agent->metric("hairpind_interfaces_attached{hook=\"from_pod\",mode=\"tcx\"}"), 2);
  EXPECT_EQ(agent->metric("hairpind_interfaces_attached{hook=\"to_pod\",mode=\"tcx\"}"), 2);
  for (const char* const device : {"veth1", "veth2"}) {
    // Where nobody's program can redirect before it.
    const auto at_peer = tcx_programs(*lab, device, TcHook::kNetkitPeer);
    ASSERT_EQ(at_peer.size(), redirects() ? 2 : 1) << device;
    if (redirects()) {
      EXPECT_EQ(at_peer.back(), pinned_program(lab->pins() + "/rd_from_pod")) << device;
    }
    EXPECT_EQ(tcx_programs(*lab, device, TcHook::kIngress).size(), 0) << device;
    EXPECT_EQ(tcx_programs(*lab, device, TcHook::kEgress).size(), 1) << device;
  }
}

TEST_P(NetkitTest, AHairpinIsSeen) {
  start_agent();
  std::vector<std::unique_ptr<PendingConnections>> clients;
  lab->inside("p1", [&] {
    for (const char* const address : kLoadBalancers) {
      clients.push_back(std::make_unique<PendingConnections>(address, 443, kConnections));
    }
  });
  EXPECT_TRUE(eventually([&] { return agent->metric_sum("hairpind_mismatches_total") == 2 * kConnections; }))
      << agent->get("/metrics").second << agent->standard_error();
  ASSERT_TRUE(eventually([&] { return agent->alerts().size() == 2; })) << Json(agent->alerts()).dump(1);
  for (const Json& alert : agent->alerts()) {
    EXPECT_EQ(alert["cause"], "hairpin_ip_target");
    EXPECT_EQ(alert["outcome"]["state"], "reset_by_client");
    EXPECT_EQ(alert["responder"]["kind"], "local_pod");
    EXPECT_EQ(alert["evidence"]["returned_syn"], true);
    EXPECT_EQ(alert["evidence"]["syn_interface"], "veth1");
    EXPECT_EQ(alert["evidence"]["synack_interface"], "veth2");
  }
}

TEST_P(NetkitTest, WhatTheLoadBalancerAnswersIsSilent) {
  lab->set_mode("lb-snat");
  start_agent();
  for (const char* const address : kLoadBalancers) {
    int complete = 0;
    lab->inside("p1", [&] { complete = complete_requests(address, 443, kRequests); });
    EXPECT_EQ(complete, kRequests) << address << ": the lab's legitimate traffic must work";
  }
  EXPECT_TRUE(eventually([&] { return agent->metric("hairpind_pending_syns") == 0; }));
  EXPECT_EQ(agent->metric_sum("hairpind_handshakes_total"), 2 * kRequests) << agent->get("/metrics").second;
  EXPECT_EQ(agent->metric_sum("hairpind_mismatches_total"), 0);
  EXPECT_EQ(agent->metric("hairpind_events_total"), 0);
  EXPECT_EQ(agent->metric("hairpind_interfaces_blind"), 0);
  EXPECT_EQ(agent->metric("hairpind_spoofed_sources_total"), 0);
}

// A filter comes after what runs where the pod sends, which lets nothing through to it: hairpind is blind, and says so.
TEST(NetkitWarningTest, BlindIsSaid) {
  const NetworkLab lab("netkit-redirect");
  if (!lab.unavailable().empty()) {
    GTEST_SKIP() << lab.unavailable();
  }
  lab.set_mode("node-dnat");
  const AgentProcess agent(lab, {"--lb", "10.0.5.5:443", "--attach", "clsact"});
  ASSERT_TRUE(agent.wait_until_ready());
  EXPECT_TRUE(agent.logs("others' programs run before hairpind's")) << agent.standard_error();
  EXPECT_EQ(agent.metric("hairpind_interfaces_blind"), 0) << "nothing has been missed yet";
  lab.inside("p1", [] { EXPECT_EQ(complete_requests("10.0.5.5", 443, 2 * kRequests), 2 * kRequests); });
  EXPECT_TRUE(eventually([&] { return agent.metric("hairpind_interfaces_blind") == 2; }))
      << agent.get("/metrics").second;
  EXPECT_TRUE(agent.logs("hairpind has seen none of their handshakes"));
}

}  // namespace
}  // namespace hairpind::testing
