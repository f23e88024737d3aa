// SPDX-License-Identifier: Apache-2.0
// The life of a problem: gone because it is fixed, or because nobody is left who could fail. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent_process.hpp"
#include "api_server.hpp"
#include "cluster_objects.hpp"
#include "command_output.hpp"
#include "lab_test.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;

const Json kService = {
    {"apiVersion", "v1"},
    {"kind", "Service"},
    {"metadata", {{"namespace", "shop"}, {"name", "api"}}},
    {"spec",
     {{"type", "LoadBalancer"},
      {"loadBalancerClass", "service.k8s.aws/nlb"},
      {"externalTrafficPolicy", "Local"},
      {"selector", {{"app", "api"}}},
      {"ports", Json::array({{{"port", 443}, {"nodePort", 30443}}})}}},
    {"status", {{"loadBalancer", {{"ingress", Json::array({{{"ip", "10.0.5.5"}, {"ipMode", "Proxy"}}})}}}}}};

class LifeTest : public LabTest {
 protected:
  void SetUp() override {
    LabTest::SetUp();
    if (!IsSkipped()) {
      lab().set_mode("ip-target");
    }
  }

  void start_agent(std::vector<std::string> more = {"--lb", "10.0.5.5:443"}) {
    // What is concluded takes the handshake timeout and five seconds more.
    more.insert(more.end(), {"--handshake-timeout", "1", "--repeat-interval", "3600"});
    agent = std::make_unique<AgentProcess>(lab(), more);
    ASSERT_TRUE(agent->wait_until_ready());
  }

  // One after the other, as the kernel counts them.
  void fail(int count) const {
    const double before = agent->metric_sum("hairpind_mismatches_total");
    lab().inside("p1", [&] { const PendingConnections connections("10.0.5.5", 443, count); });
    ASSERT_TRUE(eventually([&] { return agent->metric_sum("hairpind_mismatches_total") == before + count; }))
        << agent->get("/metrics").second;
    // What is answered in the same second as a failure may have been before it.
    ASSERT_TRUE(becomes("active"));
  }
  void succeed(int count) const {
    int complete = 0;
    lab().inside("p1", [&] { complete = complete_requests("10.0.5.5", 443, count); });
    ASSERT_EQ(complete, count);
  }

  // Of handshakes: that a client and a target share a node is told beside them.
  Json alerts() const {
    Json alerts = Json::array();
    std::ranges::copy_if(agent->alerts(), std::back_inserter(alerts),
                         [](const Json& alert) { return alert["event"] != "hairpin_exposure"; });
    return alerts;
  }
  std::vector<std::string> events() const {
    std::vector<std::string> events;
    std::ranges::transform(alerts(), std::back_inserter(events),
                           [](const Json& alert) { return alert["event"].get<std::string>(); });
    return events;
  }
  bool state_is(const std::string& state) const {
    const auto metrics = agent->metrics();
    return std::ranges::any_of(metrics, [&](const auto& sample) {
      return sample.first.starts_with("hairpind_problem_state{") &&
             sample.first.find("state=\"" + state + "\"") != std::string::npos && sample.second == 1;
    });
  }
  bool becomes(const std::string& state) const {
    return eventually([&] { return state_is(state); });
  }

  // hairpind status on the node.
  CommandOutput ask_status() const {
    CommandOutput output;
    lab().inside("node", [&] { output = output_of(HAIRPIND_BINARY " status"); });
    return output;
  }
  // What an alert of a new failure says of what had been told to be over.
  static void expect_reopened(const Json& alert, const char* state) {
    EXPECT_EQ(alert["event"], "asymmetric_handshake");
    EXPECT_EQ(alert["reopened"], true);
    EXPECT_EQ(alert["problem"]["state"], state);
    EXPECT_EQ(alert["problem"]["mismatched"], 20);
  }

  std::unique_ptr<AgentProcess> agent;
};

TEST_F(LifeTest, TheSamePathInTheLoadBalancersNameIsAFix) {
  start_agent();
  fail(1);
  EXPECT_EQ(ask_status().status, 1);
  EXPECT_THAT(ask_status().text, ::testing::HasSubstr("10.0.5.5:443   -        active  1         0         1 "));
  lab().set_mode("lb-snat");
  succeed(3);
  EXPECT_EQ(agent->metric("hairpind_same_node_answered_total{lb=\"10.0.5.5:443\"}"), 3);
  ASSERT_TRUE(becomes("fixed")) << agent->get("/metrics").second;
  ASSERT_TRUE(eventually([&] { return alerts().size() == 2; }));
  const Json alert = alerts()[1];
  EXPECT_EQ(alert["event"], "asymmetric_handshake_resolved");
  EXPECT_EQ(alert["proof"], "same_node_path");
  EXPECT_EQ(alert["problem"]["same_node_answers"], 3);
  EXPECT_EQ(ask_status().status, 0);
  EXPECT_THAT(ask_status().text, ::testing::HasSubstr(" fixed  4         3         1           3 "));
}

// It makes ISNs of its own: by no packet can it be told where a connection goes.
TEST_F(LifeTest, AProxyIsAFixOnceEnoughIsAnswered) {
  start_agent();
  fail(20);
  ASSERT_TRUE(becomes("active"));
  EXPECT_NEAR(
      agent->metric("hairpind_last_mismatch_timestamp_seconds{lb=\"10.0.5.5:443\",cause=\"hairpin_ip_target\"}"),
      static_cast<double>(std::time(nullptr)), 60);
  lab().set_mode("proxy");
  succeed(10);
  succeed(30);
  ASSERT_TRUE(becomes("fixed")) << agent->get("/metrics").second;
  ASSERT_TRUE(eventually([&] { return alerts().size() == 2; }));
  const Json alert = alerts()[1];
  EXPECT_EQ(alert["event"], "asymmetric_handshake_resolved");
  EXPECT_EQ(alert["proof"], "statistical");
  EXPECT_EQ(alert["incident"], alerts()[0]["incident"]);
  EXPECT_EQ(alert["count"], 20);
  EXPECT_GE(alert["problem"]["run"], 20);
  EXPECT_LE(alert["problem"]["chance"], 0.001);

  lab().set_mode("ip-target");
  fail(1);
  ASSERT_TRUE(eventually([&] { return alerts().size() == 3; }));
  expect_reopened(alerts()[2], "fixed");
  EXPECT_TRUE(becomes("active"));
}

TEST_F(LifeTest, AFewThatAreAnsweredAreNoFix) {
  start_agent({"--lb", "10.0.5.5:443", "--quiet-after", "8"});
  fail(20);
  lab().set_mode("proxy");
  succeed(10);
  EXPECT_TRUE(becomes("quiet"));
  EXPECT_THAT(events(), ElementsAre("asymmetric_handshake"));
}

// Relaxing the policy takes the drop away, and with it the last line in any log. The connections fail as before.
TEST_F(LifeTest, APolicyThatOnlyHidesTheDropLeavesItActive) {
  lab().set_mode("ip-target-policy");
  start_agent();
  fail(10);
  ASSERT_TRUE(becomes("active"));
  lab().set_mode("ip-target");
  for (int i = 0; i < 8; i++) {
    fail(5);
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  EXPECT_TRUE(becomes("active"));
  EXPECT_THAT(events(), ElementsAre("asymmetric_handshake"));
}

// However the ends fall into the time that a conclusion takes: each is told once, and each is of what came after the
// last failure.
TEST_F(LifeTest, WhatFlapsIsToldInTurns) {
  constexpr int kTurns = 4;
  start_agent();
  // What is answered in the same second as a failure is not counted for it.
  const auto is_fixed_in_the_end = [this] {
    return eventually([this] {
      succeed(1);
      return state_is("fixed");
    });
  };
  for (int i = 0; i < kTurns; i++) {
    lab().set_mode("ip-target");
    fail(1);
    lab().set_mode("lb-snat");
    succeed(3);
    if (i == kTurns / 2) {
      ASSERT_TRUE(is_fixed_in_the_end()) << agent->get("/metrics").second;
    }
  }
  ASSERT_TRUE(is_fixed_in_the_end()) << agent->get("/metrics").second;
  ASSERT_TRUE(eventually([&] { return events().back() == "asymmetric_handshake_resolved"; }));
  const Json told = alerts();
  ASSERT_GE(told.size(), 4) << "at least the turn that was waited for, and the last";
  ASSERT_EQ(told.size() % 2, 0) << told;
  for (std::size_t i = 0; i < told.size(); i++) {
    EXPECT_EQ(told[i]["event"], i % 2 == 0 ? "asymmetric_handshake" : "asymmetric_handshake_resolved") << told;
    EXPECT_EQ(told[i].value("reopened", false), i % 2 == 0 && i > 0) << told[i];
  }
  EXPECT_EQ(told.back()["problem"]["mismatched"], kTurns);
  EXPECT_EQ(told.back()["problem"]["reopenings"], told.size() / 2 - 1);
}

TEST_F(LifeTest, AnAgentThatStartsAnewClaimsNothing) {
  start_agent();
  fail(20);
  lab().set_mode("proxy");
  agent->send_signal(SIGTERM);
  ASSERT_EQ(agent->wait_for_exit(), 0);
  start_agent();
  succeed(100);
  ASSERT_TRUE(eventually([&] { return agent->metric_sum("hairpind_handshakes_total") >= 100; }));
  std::this_thread::sleep_for(std::chrono::seconds(10));
  EXPECT_THAT(events(), ::testing::IsEmpty());
  EXPECT_EQ(agent->metric_sum("hairpind_problem_state"), 0);
}

// An upgrade in the middle of it.
TEST_F(LifeTest, AnAgentWithAStateDirectoryGoesOn) {
  const std::string directory = "/tmp/hairpind-life-state-" + std::to_string(getpid());
  std::filesystem::create_directory(directory);
  const auto restart = [&] {
    agent->send_signal(SIGTERM);
    ASSERT_EQ(agent->wait_for_exit(), 0);
    start_agent({"--lb", "10.0.5.5:443", "--state-directory", directory});
  };
  start_agent({"--lb", "10.0.5.5:443", "--state-directory", directory});
  fail(20);
  lab().set_mode("lb-snat");
  succeed(2);
  restart();
  EXPECT_TRUE(becomes("active")) << "two answers before and one after are no three";
  succeed(1);
  std::this_thread::sleep_for(std::chrono::seconds(8));
  EXPECT_TRUE(becomes("active"));
  succeed(2);
  ASSERT_TRUE(becomes("fixed")) << agent->get("/metrics").second;
  ASSERT_TRUE(eventually([&] { return !alerts().empty(); }));
  EXPECT_EQ(alerts()[0]["event"], "asymmetric_handshake_resolved");
  EXPECT_EQ(alerts()[0]["count"], 20);
  EXPECT_EQ(alerts()[0]["backend"]["ip"], "10.0.1.20");

  restart();
  EXPECT_TRUE(becomes("fixed"));
  lab().set_mode("ip-target");
  fail(1);
  ASSERT_TRUE(eventually([&] { return !alerts().empty(); }));
  expect_reopened(alerts()[0], "fixed");
  std::filesystem::remove_all(directory);
}

class LifeInClusterTest : public LifeTest {
 protected:
  void SetUp() override {
    LifeTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    lab().inside("node", [this] { server = std::make_unique<ApiServer>(); });
    server->upsert("nodes", lab_node());
    server->upsert("pods", ready_pod("web-1", "web", {"10.0.1.10"}));
    server->upsert("pods", ready_pod("api-1", "api", {"10.0.1.20"}));
    server->upsert("services", kService);
    server->upsert("namespaces", {{"metadata", {{"name", "shop"}}}});
    const std::string path = "/tmp/hairpind-life-kubeconfig-" + std::to_string(getpid());
    std::ofstream(path) << kubeconfig(*server);
    start_agent({"--kubeconfig", path, "--node-name", "n1", "--kubernetes-events"});
    std::filesystem::remove(path);
    ASSERT_TRUE(eventually([&] {
      return agent->metric("hairpind_kubernetes_synced") == 1 &&
             agent->get("/v1/status").second.find("\"10.0.5.5:443\"") != std::string::npos;
    }));
  }

  /// The Events at the server by what they are about and why: "Pod web-1 AsymmetricHairpin".
  std::map<std::string, Json> kubernetes_events() const {
    std::map<std::string, Json> events;
    for (const Json& event : server->objects("events")) {
      const Json& object = event["involvedObject"];
      const std::string about = object["kind"].get<std::string>() + " " + object["name"].get<std::string>() + " " +
                                event["reason"].get<std::string>();
      EXPECT_FALSE(events.contains(about)) << about << " is there twice";
      events[about] = event;
    }
    return events;
  }
  static std::vector<std::string> keys_of(const std::map<std::string, Json>& events) {
    std::vector<std::string> keys;
    std::ranges::transform(events, std::back_inserter(keys), [](const auto& entry) { return entry.first; });
    return keys;
  }

  std::unique_ptr<ApiServer> server;
};

// For whoever looks at the pod or the Service, and not at any log.
TEST_F(LifeInClusterTest, WhatFailedAndItsEndAreEventsOnThePodAndOnTheService) {
  fail(1);
  ASSERT_TRUE(eventually([&] { return server->objects("events").size() == 2; })) << agent->standard_error();
  auto events = kubernetes_events();
  ASSERT_THAT(keys_of(events), ElementsAre("Pod web-1 AsymmetricHairpin", "Service api AsymmetricHairpin"));
  const Json told = alerts().at(0);
  for (const auto& [about, event] : events) {
    EXPECT_EQ(event["type"], "Warning");
    EXPECT_EQ(event["metadata"]["namespace"], "shop");
    EXPECT_EQ(event["source"], (Json{{"component", "hairpind"}, {"host", "n1"}}));
    EXPECT_EQ(event["count"], 1);
    EXPECT_THAT(event["message"], ::testing::StartsWith(told["message"].get<std::string>()));
    EXPECT_LE(event["message"].get<std::string>().size(), 1024);
  }
  // By these `kubectl describe` finds them.
  EXPECT_EQ(events["Pod web-1 AsymmetricHairpin"]["involvedObject"]["uid"],
            server->objects("pods").at(1)["metadata"]["uid"]);
  EXPECT_EQ(events["Service api AsymmetricHairpin"]["involvedObject"]["uid"],
            server->objects("services").at(0)["metadata"]["uid"]);

  lab().set_mode("lb-snat");
  succeed(3);
  ASSERT_TRUE(becomes("fixed")) << agent->get("/metrics").second;
  ASSERT_TRUE(eventually([&] { return server->objects("events").size() == 4; })) << agent->standard_error();
  events = kubernetes_events();
  EXPECT_EQ(events.at("Pod web-1 HairpinResolved")["type"], "Normal");
  EXPECT_EQ(events.at("Service api HairpinResolved")["type"], "Normal");
  EXPECT_TRUE(eventually([&] { return agent->metric("hairpind_kubernetes_events_total{result=\"written\"}") == 4; }));

  // It is back within the hour: counted, and told with the next.
  lab().set_mode("ip-target");
  fail(5);
  ASSERT_TRUE(eventually([&] { return this->events().size() == 3; }));
  EXPECT_EQ(server->objects("events").size(), 4);
  EXPECT_EQ(server->count_of("patch events"), 0);
}

// What a restarted pod "fixes": on the other node it works, and back here it fails again.
TEST_F(LifeInClusterTest, ATargetThatMovesAwayLeavesItDormantAndOneThatComesBackReopensIt) {
  fail(20);
  server->remove("pods", "shop", "api-1");
  lab().set_mode("remote-target");
  ASSERT_TRUE(becomes("dormant")) << agent->get("/metrics").second;
  succeed(200);
  ASSERT_TRUE(eventually([&] { return alerts().size() >= 2; }));
  const Json dormant = alerts()[1];
  EXPECT_EQ(dormant["event"], "asymmetric_handshake_dormant");
  EXPECT_EQ(dormant["why"]["left"], "target");
  EXPECT_EQ(dormant["why"]["who"], Json::array({"shop/api-1"}));
  EXPECT_EQ(dormant["load_balancer"]["service"], "api");
  EXPECT_EQ(dormant["count"], 20);
  // What a look for warnings alone must show: it is not fixed.
  ASSERT_TRUE(eventually([&] { return kubernetes_events().contains("Service api HairpinDormant"); }));
  EXPECT_EQ(kubernetes_events().at("Service api HairpinDormant")["type"], "Warning");
  EXPECT_EQ(kubernetes_events().at("Pod web-1 HairpinDormant")["type"], "Warning");

  server->upsert("pods", ready_pod("api-2", "api", {"10.0.1.20"}));
  lab().set_mode("ip-target");
  fail(1);
  ASSERT_TRUE(eventually([&] { return alerts().size() == 3; }));
  expect_reopened(alerts()[2], "dormant");
  EXPECT_TRUE(becomes("active"));
}

TEST_F(LifeInClusterTest, AClientThatLeavesLeavesItDormant) {
  fail(5);
  server->remove("pods", "shop", "web-1");
  ASSERT_TRUE(becomes("dormant")) << agent->get("/metrics").second;
  EXPECT_EQ(alerts().at(1)["why"]["left"], "client");
  EXPECT_EQ(alerts().at(1)["why"]["who"], Json::array({"shop/web-1"}));
}

// The API server's silence is no news of anybody.
TEST_F(LifeInClusterTest, WithoutTheApiNobodyHasLeft) {
  fail(5);
  server->set_faults({.drop_connections = true});
  server->close_watches();
  ASSERT_TRUE(eventually([&] { return agent->metric("hairpind_kubernetes_synced") == 0; }));
  server->remove("pods", "shop", "api-1");
  std::this_thread::sleep_for(std::chrono::seconds(10));
  EXPECT_TRUE(becomes("active"));
  EXPECT_THAT(events(), ElementsAre("asymmetric_handshake"));
}

}  // namespace
}  // namespace hairpind::testing
