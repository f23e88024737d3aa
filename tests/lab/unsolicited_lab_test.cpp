// SPDX-License-Identifier: Apache-2.0
// A load balancer that ends the clients' connections and opens its own under their addresses. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "agent_process.hpp"
#include "lab_test.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

struct Family {
  const char* name;
  const char* lb;
  const char* lb_label;
  const char* client;
  const char* target;
};

void PrintTo(const Family& family, std::ostream* out) {
  *out << family.name;
}

class UnsolicitedTest : public LabTest, public ::testing::WithParamInterface<Family> {};

TEST_P(UnsolicitedTest, IsToldThoughEveryHandshakeWithTheLoadBalancerGoesWell) {
  const Family& family = GetParam();
  constexpr int kConnections = 20;
  lab().set_mode("proxy-as-client");
  const AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443", "--handshake-timeout", "5"});
  ASSERT_TRUE(agent.wait_until_ready());
  std::unique_ptr<PendingConnections> connections;
  lab().inside("p1", [&] { connections = std::make_unique<PendingConnections>(family.lb, 443, kConnections); });
  const std::string lb = "lb=\"" + std::string(family.lb_label) + "\"";
  const std::string told = "hairpind_mismatches_total{" + lb + ",cause=\"unsolicited_synack\"}";
  EXPECT_TRUE(eventually([&] { return agent.metric(told) == kConnections; })) << agent.get("/metrics").second;
  EXPECT_EQ(connections->established(), kConnections) << "with the load balancer, that is";
  EXPECT_EQ(agent.metric_sum("hairpind_mismatches_total"), kConnections);
  EXPECT_EQ(agent.metric("hairpind_handshakes_total{" + lb + ",result=\"answered\"}"), kConnections);
  EXPECT_EQ(agent.metric_sum("hairpind_handshakes_total"), kConnections);
  ASSERT_TRUE(eventually([&] { return !agent.alerts().empty(); }));
  const auto alerts = agent.alerts();
  ASSERT_EQ(alerts.size(), 1);
  const nlohmann::json& alert = alerts[0];
  EXPECT_EQ(alert["severity"], "warning");
  EXPECT_EQ(alert["cause"], "unsolicited_synack");
  EXPECT_EQ(alert["client"]["ip"], family.client);
  EXPECT_EQ(alert["load_balancer"]["ip"], family.lb);
  EXPECT_EQ(alert["responder"]["ip"], family.target);
  EXPECT_EQ(alert["responder"]["kind"], "local_pod");
  EXPECT_EQ(alert["evidence"]["isn_match"], false);
  EXPECT_EQ(alert["evidence"]["returned_syn"], true);
  EXPECT_EQ(alert["outcome"]["state"], "reset_by_client");
  EXPECT_THAT(alert["message"].get<std::string>(), ::testing::HasSubstr("never sent"));
}

INSTANTIATE_TEST_SUITE_P(Families, UnsolicitedTest,
                         ::testing::Values(Family{"IPv4", "10.0.5.5", "10.0.5.5:443", "10.0.1.10", "10.0.1.20"},
                                           Family{"IPv6", "fd00:5::5", "[fd00:5::5]:443", "fd00:1::10", "fd00:1::20"}),
                         [](const auto& family) { return std::string(family.param.name); });

}  // namespace
}  // namespace hairpind::testing
