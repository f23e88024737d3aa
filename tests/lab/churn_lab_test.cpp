// SPDX-License-Identifier: Apache-2.0
// /metrics read by several scrapers while the cluster's load balancers come and go: what crashed, and what
// ThreadSanitizer is run over. Needs root.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "agent_process.hpp"
#include "api_server.hpp"
#include "cluster_churn.hpp"
#include "lab_test.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using ChurnTest = LabTest;

TEST_F(ChurnTest, FourScrapersReadWhatChangesAllTheTime) {
  constexpr int kChanges = 2000;
  lab().set_mode("ip-target");
  std::unique_ptr<ApiServer> server;
  lab().inside("node", [&] { server = std::make_unique<ApiServer>(); });
  server->upsert("nodes", {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "n1"}}}});
  ClusterChurn churn(*server, 200, 20, 200);
  const std::string config = "/tmp/hairpind-kubeconfig-" + std::to_string(getpid());
  std::ofstream(config) << kubeconfig(*server);
  AgentProcess agent(lab(), {"--kubeconfig", config, "--node-name", "n1", "--lb", "10.0.5.5:443"});
  ASSERT_TRUE(agent.wait_until_ready());
  ASSERT_TRUE(eventually([&] { return agent.metric("hairpind_kubernetes_synced") == 1; })) << agent.standard_error();
  std::filesystem::remove(config);
  std::atomic<int> pages = 0;
  {
    std::vector<std::jthread> scrapers;
    scrapers.reserve(4);
    for (int i = 0; i < 4; i++) {
      scrapers.emplace_back([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          pages += agent.get("/metrics").first == 200 ? 1 : 0;
        }
      });
    }
    for (int i = 0; i < kChanges; i++) {
      churn.change();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      if (i % 200 == 0) {
        lab().inside("p1", [] { const PendingConnections connection("10.0.5.5", 443, 1); });
      }
    }
    // At least one page of each after the last change.
    const int before = pages;
    EXPECT_TRUE(eventually([&] { return pages > before + 4; }));
  }
  EXPECT_EQ(agent.metric_sum("hairpind_mismatches_total"), kChanges / 200);
  agent.send_signal(SIGTERM);
  EXPECT_EQ(agent.wait_for_exit(), 0) << agent.standard_error();
}

}  // namespace
}  // namespace hairpind::testing
