// SPDX-License-Identifier: Apache-2.0
// nf_conntrack as a module that is loaded after the agent's start. Needs root and a kernel that has not loaded it yet,
// as a guest of tests/vm/ has not: once in a kernel's life.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "agent_process.hpp"
#include "network_lab.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;

constexpr int kConnections = 10;
constexpr const char* kLoadBalancers[] = {"10.0.5.5", "fd00:5::5"};

bool is_loaded() {
  return std::filesystem::exists("/proc/sys/net/netfilter/nf_conntrack_max");
}

class Clients {
 public:
  explicit Clients(const NetworkLab& lab) {
    lab.inside("p1", [&] {
      for (const char* const address : kLoadBalancers) {
        connections_.push_back(std::make_unique<PendingConnections>(address, 443, kConnections));
      }
    });
  }

  [[nodiscard]] int established() const { return connections_[0]->established() + connections_[1]->established(); }

 private:
  std::vector<std::unique_ptr<PendingConnections>> connections_;
};

// The alerts of one incident a load balancer, all of them a hairpin; what netfilter said, and who was asked.
void expect_hairpins(const AgentProcess& agent, double mismatches, const std::string& conntrack,
                     const std::string& source) {
  EXPECT_TRUE(eventually([&] { return agent.metric_sum("hairpind_mismatches_total") == mismatches; }))
      << agent.get("/metrics").second << agent.standard_error();
  ASSERT_TRUE(eventually([&] { return agent.alerts().size() == 2; })) << Json(agent.alerts()).dump(1);
  for (const Json& alert : agent.alerts()) {
    EXPECT_EQ(alert["cause"], "hairpin_ip_target");
    EXPECT_EQ(alert["outcome"]["state"], "reset_by_client");
    EXPECT_EQ(alert["evidence"]["conntrack"], conntrack) << agent.standard_error();
    EXPECT_EQ(alert["evidence"]["conntrack_source"], source);
  }
}

std::unique_ptr<AgentProcess> start_agent(const NetworkLab& lab) {
  return std::make_unique<AgentProcess>(
      lab, std::vector<std::string>{"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443", "--handshake-timeout", "2",
                                    "--repeat-interval", "3600"});
}

// Translated connections whose answers a policy drops: nothing but conntrack can tell that they are no hairpin.
void expect_silence_by_translation(const NetworkLab& lab, const AgentProcess& agent, double mismatches) {
  lab.set_mode("node-dnat-policy");
  const Clients clients(lab);
  EXPECT_TRUE(eventually([&] {
    return agent.metric_sum("hairpind_legitimate_translations_total") >= 2 * kConnections;
  })) << agent.get("/metrics").second
      << agent.standard_error();
  EXPECT_EQ(clients.established(), 0) << "an answer that arrives would clear the attempts without conntrack";
  EXPECT_EQ(agent.metric_sum("hairpind_mismatches_total"), mismatches);
}

TEST(ConntrackModule, MayBeLoadedAfterTheAgentsStart) {
  if (is_loaded()) {
    GTEST_SKIP() << "nf_conntrack is loaded already, or built in";
  }
  const NetworkLab lab("routed", "ip-target-untracked");
  ASSERT_EQ(lab.unavailable(), "");
  auto agent = start_agent(lab);
  ASSERT_TRUE(agent->wait_until_ready());
  {
    SCOPED_TRACE("not loaded");
    const Clients clients(lab);
    // Nobody can be asked, which is not the same as no entry.
    expect_hairpins(*agent, 2 * kConnections, "unchecked", "none");
    EXPECT_FALSE(is_loaded()) << "neither the lab nor the agent has any business to load it";
  }
  EXPECT_TRUE(eventually([&] { return agent->metric("hairpind_pending_syns") == 0; }));

  ASSERT_EQ(run_command({"modprobe", "nf_conntrack"}), 0);
  {
    SCOPED_TRACE("loaded after the agent's start");
    expect_silence_by_translation(lab, *agent, 2 * kConnections);
    EXPECT_EQ(agent->alerts().size(), 2) << Json(agent->alerts()).dump(1);
  }

  lab.set_mode("ip-target-conntrack");
  // First: the second of two on one node refuses to start.
  agent.reset();
  agent = start_agent(lab);
  ASSERT_TRUE(agent->wait_until_ready());
  {
    SCOPED_TRACE("loaded before the agent's start");
    const Clients clients(lab);
    // A module's type information is for CAP_SYS_ADMIN, which jobs.sh takes away with HAIRPIND_LAB_STARTER.
    const bool restricted = std::getenv("HAIRPIND_LAB_STARTER") != nullptr;
    expect_hairpins(*agent, 2 * kConnections, "not_translated", restricted ? "netlink" : "kernel");
    expect_silence_by_translation(lab, *agent, 2 * kConnections);
  }
}

}  // namespace
}  // namespace hairpind::testing
