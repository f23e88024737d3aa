// SPDX-License-Identifier: Apache-2.0
// Beside Cilium: whose an address is where no route tells and its map of endpoints does, and whom its identities stand
// for. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "agent_process.hpp"
#include "api_server.hpp"
#include "cilium_maps.hpp"
#include "redirect_abi.h"
#include "tcp_clients.hpp"
#include "tcp_packet.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;
using ::testing::IsEmpty;

constexpr const char* kBalancer = "10.0.5.5:443";
constexpr std::uint32_t kVictim = 0x0a00010a;        // 10.0.1.10, p1
constexpr std::uint32_t kLoadBalancer = 0x0a000505;  // 10.0.5.5
constexpr std::uint16_t kLiesFrom = 50000;
constexpr std::uint32_t kLies = 40;
constexpr const char* kGetIdentity = "get ciliumidentities.cilium.io";

/// Pods are found by BPF programs alone, as with Cilium: the node has no routes to them.
class CiliumOwnersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string& reason : {lab.unavailable(), filesystem.unavailable()}) {
      if (!reason.empty()) {
        GTEST_SKIP() << reason;
      }
    }
    for (const char* const pod : {"1", "2"}) {
      lab.ip("node", {"route", "del", std::string("10.0.1.") + pod + "0", "dev", std::string("veth") + pod});
    }
  }

  void start() {
    agent = std::make_unique<AgentProcess>(
        lab, std::vector<std::string>{"--lb", kBalancer, "--cilium-bpffs", filesystem.root()});
    ASSERT_TRUE(agent->wait_until_ready());
  }

  void pin_endpoints() const {
    const CiliumEndpointMap endpoints;
    lab.inside("node", [&] {
      endpoints.add(*IpAddress::parse("10.0.1.10"), if_nametoindex("veth1"));
      endpoints.add(*IpAddress::parse("10.0.1.20"), if_nametoindex("veth2"));
    });
    endpoints.pin(filesystem);
  }

  /// p2 calls the load balancer in p1's name.
  void lie() const {
    std::vector<TcpPacket> packets;
    for (std::uint32_t i = 0; i < kLies; i++) {
      packets.push_back(make_tcp_packet({.source = kVictim,
                                         .source_port = static_cast<std::uint16_t>(kLiesFrom + i),
                                         .destination = kLoadBalancer,
                                         .destination_port = 443,
                                         .sequence = 1000 + i,
                                         .flags = TH_SYN}));
    }
    lab.inside("p2", [&] {
      const FileDescriptor sender(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
      EXPECT_EQ(send_raw(sender.get(), packets, kLoadBalancer), kLies);
    });
  }

  [[nodiscard]] double spoofed() const { return agent->metric("hairpind_spoofed_sources_total"); }

  const NetworkLab lab{"redirect-tcx", "ip-target-stateless"};
  const BpfFilesystem filesystem;
  std::unique_ptr<AgentProcess> agent;
};

TEST_F(CiliumOwnersTest, APodThatLiesIsNotBelievedAndMutesNobody) {
  pin_endpoints();
  start();
  ASSERT_TRUE(agent->logs("Cilium's endpoints: reading"));
  // Before the victim's first.
  lie();
  EXPECT_TRUE(eventually([&] { return spoofed() >= kLies; })) << agent->get("/metrics").second;
  EXPECT_EQ(agent->metric_sum("hairpind_syns_total"), 0);
  EXPECT_TRUE(agent->logs("interface veth2: ")) << agent->standard_error();
  EXPECT_THAT(agent->alerts(), IsEmpty());

  lab.inside("p1", [] { const PendingConnections connections("10.0.5.5", 443, 3, 20000); });
  EXPECT_TRUE(eventually([&] { return agent->metric_sum("hairpind_mismatches_total") == 3; }))
      << agent->get("/metrics").second;
  ASSERT_TRUE(eventually([&] { return !agent->alerts().empty(); }));
  for (const Json& alert : agent->alerts()) {
    EXPECT_EQ(alert["client"]["ip"], "10.0.1.10");
    EXPECT_LT(alert["client"]["port"], 20003);
    EXPECT_EQ(alert["responder"]["ip"], "10.0.1.20");
    EXPECT_EQ(alert["responder"]["kind"], "local_pod");
    EXPECT_EQ(alert["evidence"]["syn_interface"], "veth1");
  }
}

// What the map is for: without it nobody here can tell these from the victim's own.
TEST_F(CiliumOwnersTest, WithoutTheMapNobodyCanTell) {
  start();
  lie();
  EXPECT_TRUE(eventually([&] { return agent->metric_sum("hairpind_syns_total") == kLies; }))
      << agent->get("/metrics").second;
  EXPECT_EQ(spoofed(), 0);
}

// A device that a CNI makes anew has another number: the old entry says nothing, and the new one is read in time.
TEST_F(CiliumOwnersTest, AnEntryOfADeviceThatIsGoneConvictsNobody) {
  const CiliumEndpointMap endpoints;
  endpoints.add(*IpAddress::parse("10.0.1.10"), 9999);
  endpoints.pin(filesystem);
  start();
  ASSERT_TRUE(agent->logs("Cilium's endpoints: reading"));
  lab.inside("p1", [] { const PendingConnections connections("10.0.5.5", 443, 3, 20000); });
  EXPECT_TRUE(eventually([&] { return agent->metric_sum("hairpind_mismatches_total") == 3; }))
      << agent->get("/metrics").second;
  EXPECT_EQ(spoofed(), 0);
}

/// A policy of the datapath's drops the answers, between the identities 2002 and 1001.
class CiliumIdentityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string& reason : {lab.unavailable(), filesystem.unavailable()}) {
      if (!reason.empty()) {
        GTEST_SKIP() << reason;
      }
    }
    CiliumMap(true).pin(filesystem);
    lab.inside("node", [this] { server = std::make_unique<ApiServer>(); });
    server->upsert("nodes", {{"metadata", {{"name", "n1"}}}});
    server->upsert("services", {{"metadata", {{"namespace", "shop"}, {"name", "api"}}},
                                {"spec", {{"type", "LoadBalancer"}, {"ports", Json::array({{{"port", 443}}})}}},
                                {"status", {{"loadBalancer", {{"ingress", Json::array({{{"ip", "10.0.5.5"}}})}}}}}});
    server->upsert("ciliumidentities", {{"metadata", {{"name", std::to_string(RD_CLIENT_IDENTITY)}}},
                                        {"security-labels", {{"k8s:app", "web"}, {"k8s:tier", "front"}}}});
    server->upsert("ciliumidentities", {{"metadata", {{"name", std::to_string(RD_TARGET_IDENTITY)}}},
                                        {"security-labels", {{"k8s:app", "api"}}}});
  }

  /// outcome.cilium of the first alert, or of a later one that `suffices`.
  template <typename Suffices>
  Json told(Suffices suffices) {
    const std::string config = "/tmp/hairpind-kubeconfig-" + std::to_string(getpid());
    std::ofstream(config) << kubeconfig(*server);
    const AgentProcess agent(lab, {"--lb", kBalancer, "--kubeconfig", config, "--node-name", "n1", "--cilium-bpffs",
                                   filesystem.root(), "--repeat-interval", "1"});
    EXPECT_TRUE(agent.wait_until_ready());
    std::filesystem::remove(config);
    EXPECT_TRUE(eventually([&] { return server->open_watches() == 4; })) << agent.standard_error();
    Json cilium;
    EXPECT_TRUE(eventually([&] {
      lab.inside("p1", [] { const PendingConnections client("10.0.5.5", 443, 1); });
      const auto alerts = agent.alerts();
      const auto found =
          std::ranges::find_if(alerts, [&](const Json& alert) { return suffices(alert["outcome"]["cilium"]); });
      cilium = found == alerts.end() ? Json() : (*found)["outcome"]["cilium"];
      return found != alerts.end();
    })) << agent.standard_error();
    log = agent.standard_error();
    return cilium;
  }

  /// The numbers alone, in an alert that comes after the server has been asked.
  void expect_numbers_only() {
    const Json cilium = told([&](const Json& /*cilium*/) { return server->count_of(kGetIdentity) > 0; });
    EXPECT_EQ(cilium["source_identity"], RD_TARGET_IDENTITY);
    EXPECT_EQ(cilium["destination_identity"], RD_CLIENT_IDENTITY);
    EXPECT_FALSE(cilium.contains("source_labels"));
    EXPECT_FALSE(cilium.contains("destination_labels"));
    EXPECT_EQ(log.find("dentities"), std::string::npos) << log;
  }

  const NetworkLab lab{"redirect-tcx", "ip-target-policy"};
  const BpfFilesystem filesystem;
  std::unique_ptr<ApiServer> server;
  std::string log;
};

TEST_F(CiliumIdentityTest, AreNamedByTheirLabels) {
  const Json cilium =
      told([](const Json& each) { return each.contains("source_labels") && each.contains("destination_labels"); });
  EXPECT_EQ(cilium["source_identity"], RD_TARGET_IDENTITY);
  EXPECT_EQ(cilium["source_labels"], Json::array({"k8s:app=api"}));
  EXPECT_EQ(cilium["destination_identity"], RD_CLIENT_IDENTITY);
  EXPECT_EQ(cilium["destination_labels"], Json::array({"k8s:app=web", "k8s:tier=front"}));
  EXPECT_EQ(server->count_of(kGetIdentity), 2) << "once each, however many attempts there were";
}

TEST_F(CiliumIdentityTest, WithoutTheRightAlertsHaveTheNumbers) {
  server->set_permissions({"list pods", "watch pods", "list services", "watch services", "list nodes", "watch nodes",
                           "list gateways.gateway.networking.k8s.io", "watch gateways.gateway.networking.k8s.io"});
  expect_numbers_only();
}

TEST_F(CiliumIdentityTest, WhereTheApiHasNoneAlertsHaveTheNumbers) {
  server->set_faults({.without_cilium = true});
  expect_numbers_only();
}

}  // namespace
}  // namespace hairpind::testing
