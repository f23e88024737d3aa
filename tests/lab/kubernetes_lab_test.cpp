// SPDX-License-Identifier: Apache-2.0
// The agent in a cluster: load balancers found, pods and Services named, API servers that fail. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent_process.hpp"
#include "api_server.hpp"
#include "cluster_churn.hpp"
#include "cluster_objects.hpp"
#include "dns_server.hpp"
#include "lab_test.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

/// One of a Deployment's.
Json pod(const std::string& name, const std::string& app, const char* v4, const char* v6) {
  Json pod = ready_pod(name, app, {v4, v6});
  pod["metadata"]["labels"]["pod-template-hash"] = "7d9f";
  pod["metadata"]["ownerReferences"] =
      Json::array({{{"kind", "ReplicaSet"}, {"name", app + "-7d9f"}, {"controller", true}}});
  return pod;
}

Json service(const std::string& name, const std::string& ip) {
  return {{"apiVersion", "v1"},
          {"kind", "Service"},
          {"metadata", {{"namespace", "shop"}, {"name", name}}},
          {"spec",
           {{"type", "LoadBalancer"},
            {"loadBalancerClass", "service.k8s.aws/nlb"},
            {"selector", {{"app", "api"}}},
            {"ports", Json::array({{{"port", 443}, {"nodePort", 30443}}})}}},
          {"status", {{"loadBalancer", {{"ingress", Json::array({{{"ip", ip}, {"ipMode", "Proxy"}}})}}}}}};
}

/// As AWS publishes a load balancer: by name only.
Json service_by_name(const std::string& name, const std::string& hostname) {
  Json result = service(name, "");
  result["status"]["loadBalancer"]["ingress"] = Json::array({{{"hostname", hostname}}});
  return result;
}

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

/// "list pods", "get ciliumidentities.cilium.io" for each verb and resource that deploy/daemonset.yaml's ClusterRole
/// grants.
std::set<std::string> granted_rights() {
  std::set<std::string> rights;
  for (const YAML::Node& object : YAML::LoadAllFromFile(HAIRPIND_SOURCE_DIR "/deploy/daemonset.yaml")) {
    if (object["kind"].as<std::string>() != "ClusterRole") {
      continue;
    }
    for (const YAML::Node& rule : object["rules"]) {
      const auto group = rule["apiGroups"][0].as<std::string>();
      for (const YAML::Node& resource : rule["resources"]) {
        for (const YAML::Node& verb : rule["verbs"]) {
          rights.insert(verb.as<std::string>() + " " + resource.as<std::string>() + (group.empty() ? "" : "." + group));
        }
      }
    }
  }
  return rights;
}

class KubernetesTest : public LabTest {
 protected:
  /// A server that has failed is asked again after ten seconds, after twenty, then after thirty at most.
  static constexpr std::chrono::seconds kComesBack{120};

  void SetUp() override {
    LabTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    lab().set_mode("ip-target");
    lab().inside("node", [this] { server = std::make_unique<ApiServer>(); });
    server->upsert("nodes", lab_node());
    server->upsert("pods", pod("web-7d9f-abcde", "web", "10.0.1.10", "fd00:1::10"));
    server->upsert("pods", pod("api-7d9f-fghij", "api", "10.0.1.20", "fd00:1::20"));
    server->upsert("services", service("api", "10.0.5.5"));
    server->upsert("services", {{"apiVersion", "v1"},
                                {"kind", "Service"},
                                {"metadata", {{"namespace", "shop"}, {"name", "inside"}}},
                                {"spec", {{"type", "ClusterIP"}, {"ports", Json::array({{{"port", 80}}})}}}});
  }

  void start_agent(const std::string& config = "") {
    const std::string path = "/tmp/hairpind-kubeconfig-" + std::to_string(getpid());
    std::ofstream(path) << (config.empty() ? kubeconfig(*server) : config);
    std::vector<std::string> options{"--kubeconfig", path, "--node-name", "n1", "--handshake-timeout", "1"};
    options.insert(options.end(), more_options.begin(), more_options.end());
    agent = std::make_unique<AgentProcess>(lab(), options, resolv_conf);
    ASSERT_TRUE(agent->wait_until_ready());
    std::filesystem::remove(path);
  }

  bool becomes_synced() const {
    return eventually([&] { return agent->metric("hairpind_kubernetes_synced") == 1; }, kComesBack);
  }

  /// The agent watches for this load balancer, called or not.
  bool watches_for(const std::string& lb) const {
    return eventually([&] { return agent->get("/v1/status").second.find("\"" + lb + "\"") != std::string::npos; },
                      kComesBack);
  }

  void fail_connections(int count, const char* lb = "10.0.5.5") const {
    lab().inside("p1", [&] { const PendingConnections connections(lb, 443, count); });
  }

  /// The most that the agent's memory has been.
  long peak_kib() const {
    std::istringstream status(read_file("/proc/" + std::to_string(agent->pid()) + "/status"));
    long peak = 0;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) {
        peak = std::stol(line.substr(6));
      }
    }
    RecordProperty("peak_kib", std::to_string(peak));
    return peak;
  }

  double mismatches() const { return agent->metric_sum("hairpind_mismatches_total"); }

  Json first_alert(const std::string& event) const {
    Json found;
    EXPECT_TRUE(eventually([&] {
      for (const Json& alert : agent->alerts()) {
        if (alert["event"] == event) {
          found = alert;
          return true;
        }
      }
      return false;
    })) << event
        << "\n"
        << agent->standard_error();
    return found;
  }

  std::unique_ptr<ApiServer> server;
  std::unique_ptr<AgentProcess> agent;
  std::string resolv_conf;  ///< the agent's; "": the machine's
  std::vector<std::string> more_options;
};

TEST_F(KubernetesTest, FindsTheLoadBalancerAndNamesEveryone) {
  start_agent();
  ASSERT_TRUE(becomes_synced()) << agent->standard_error();
  ASSERT_TRUE(watches_for("10.0.5.5:443"));
  fail_connections(3);
  const Json alert = first_alert("asymmetric_handshake");
  EXPECT_EQ(alert["client"]["pod"], "web-7d9f-abcde");
  EXPECT_EQ(alert["client"]["namespace"], "shop");
  EXPECT_EQ(alert["client"]["workload"], "Deployment/web");
  EXPECT_EQ(alert["load_balancer"]["service"], "api");
  EXPECT_EQ(alert["load_balancer"]["namespace"], "shop");
  EXPECT_EQ(alert["load_balancer"]["origin"], "service");
  EXPECT_EQ(alert["responder"]["pod"], "api-7d9f-fghij");
  EXPECT_EQ(alert["backend"]["workload"], "Deployment/api");
  EXPECT_THAT(alert["message"].get<std::string>(),
              HasSubstr("SYN from pod shop/web-7d9f-abcde to load balancer shop/api"));
  EXPECT_THAT(alert["hint"].get<std::string>(), HasSubstr("shop/api"));
  EXPECT_THAT(alert["hint"].get<std::string>(),
              HasSubstr("service.beta.kubernetes.io/aws-load-balancer-target-group-attributes"));
  EXPECT_TRUE(eventually([&] {
    return agent->metric(
               "hairpind_client_mismatches_total{lb=\"10.0.5.5:443\",lb_namespace=\"shop\",lb_service=\"api\","
               "cause=\"hairpin_ip_target\",client_namespace=\"shop\"}") == 3;
  })) << agent->get("/metrics").second;
}

TEST_F(KubernetesTest, ALoadBalancerThatTerraformMadeIsFoundAndNamedByItsTargetGroupBinding) {
  server->remove("services", "shop", "api");
  server->upsert("services", {{"metadata", {{"namespace", "shop"}, {"name", "backend"}}},
                              {"spec",
                               {{"type", "ClusterIP"},
                                {"selector", {{"app", "api"}}},
                                {"ports", Json::array({{{"name", "https"}, {"port", 443}, {"targetPort", 8443}}})}}}});
  server->upsert("targetgroupbindings",
                 {{"metadata", {{"namespace", "shop"}, {"name", "terraform"}}},
                  {"spec",
                   {{"targetGroupARN", "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/t/1"},
                    {"targetType", "ip"},
                    {"serviceRef", {{"name", "backend"}, {"port", "https"}}}}}});
  server->set_permissions(granted_rights());
  more_options = {"--repeat-interval", "1"};
  start_agent();
  ASSERT_TRUE(becomes_synced()) << agent->standard_error();
  EXPECT_EQ(server->count_of("list targetgroupbindings.elbv2.k8s.aws"), 0) << "nothing is asked before it fails";
  Json named;
  // Where the API server answers after the first alert, the next has the name.
  EXPECT_TRUE(eventually([&] {
    fail_connections(1);
    for (const Json& alert : agent->alerts()) {
      if (alert["load_balancer"].contains("service")) {
        named = alert;
      }
    }
    return !named.is_null();
  })) << agent->standard_error();
  EXPECT_EQ(named["load_balancer"]["origin"], "learned");
  EXPECT_EQ(named["load_balancer"]["service"], "backend");
  EXPECT_EQ(named["load_balancer"]["namespace"], "shop");
  EXPECT_EQ(named["load_balancer"]["target_group_binding"], "terraform");
  EXPECT_THAT(named["message"], HasSubstr("to load balancer shop/backend 10.0.5.5:443 was answered"));
  EXPECT_THAT(named["hint"], HasSubstr("arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/t/1"));
  EXPECT_EQ(server->count_of("list targetgroupbindings.elbv2.k8s.aws"), 1) << "and once";
  EXPECT_TRUE(eventually([&] {
    fail_connections(1);
    return agent->metric_sum("hairpind_mismatches_total") > 0 &&
           agent->get("/metrics")
                   .second.find(
                       R"(hairpind_mismatches_total{lb="10.0.5.5:443",lb_namespace="shop",lb_service="backend")") !=
               std::string::npos;
  })) << agent->get("/metrics").second;
}

TEST_F(KubernetesTest, MismatchesStayWithTheNamesOfTheirTime) {
  const auto series = [](const std::string& service, const std::string& client) {
    return "hairpind_client_mismatches_total{lb=\"10.0.5.5:443\",lb_namespace=\"shop\",lb_service=\"" + service +
           "\",cause=\"hairpin_ip_target\"" + (client.empty() ? "" : ",client_namespace=\"" + client + "\"") + "}";
  };
  start_agent();
  ASSERT_TRUE(becomes_synced());
  ASSERT_TRUE(watches_for("10.0.5.5:443"));
  fail_connections(3);
  ASSERT_TRUE(eventually([&] { return agent->metric(series("api", "shop")) == 3; })) << agent->get("/metrics").second;

  // The client's address goes to a pod of another namespace, the load balancer's to another Service.
  server->remove("pods", "shop", "web-7d9f-abcde");
  Json batch = pod("batch-7d9f-klmno", "batch", "10.0.1.10", "fd00:1::10");
  batch["metadata"]["namespace"] = "night";
  server->upsert("pods", batch);
  server->remove("services", "shop", "api");
  server->upsert("services", service("shop-front", "10.0.5.5"));
  ASSERT_TRUE(eventually([&] {
    return agent->get("/metrics")
               .second.find(R"(hairpind_syns_total{lb="10.0.5.5:443",lb_namespace="shop",lb_service="shop-front"})") !=
           std::string::npos;
  })) << agent->get("/metrics").second;
  fail_connections(2);
  EXPECT_TRUE(eventually([&] { return agent->metric(series("shop-front", "night")) == 2; }))
      << agent->get("/metrics").second;
  EXPECT_EQ(agent->metric(series("api", "shop")), 3);

  // Neither a Service nor a name goes away with what it was told of.
  server->remove("services", "shop", "shop-front");
  server->upsert("services", service("late", "10.0.5.7"));
  ASSERT_TRUE(watches_for("10.0.5.7:443"));
  EXPECT_EQ(agent->metric(series("shop-front", "night")), 2);
  EXPECT_EQ(agent->metric(series("shop-front", "")), 0);
  EXPECT_EQ(mismatches(), 5);
  EXPECT_EQ(agent->metric("hairpind_syns_total{lb=\"10.0.5.5:443\",lb_namespace=\"shop\",lb_service=\"shop-front\"}"),
            5)
      << "a series keeps its labels when its Service is gone";
}

TEST_F(KubernetesTest, NodePortsAreNamedAfterTheirService) {
  lab().set_mode("node-port");
  start_agent();
  ASSERT_TRUE(becomes_synced());
  ASSERT_TRUE(watches_for("10.0.5.5:443"));
  fail_connections(1);
  const Json alert = first_alert("asymmetric_handshake");
  EXPECT_EQ(alert["responder"]["node_port_of"], "shop/api");
  EXPECT_EQ(alert["backend"]["pod"], "api-7d9f-fghij");
}

TEST_F(KubernetesTest, ServicesThatComeAndGoAreFollowed) {
  // One that sends a SYN back is found without a Service.
  lab().set_mode("refuse");
  server->remove("services", "shop", "api");
  start_agent();
  ASSERT_TRUE(becomes_synced());
  fail_connections(1);
  EXPECT_EQ(agent->metric_sum("hairpind_syns_total"), 0);
  server->upsert("services", service("api", "10.0.5.5"));
  ASSERT_TRUE(watches_for("10.0.5.5:443"));
  lab().set_mode("ip-target");
  fail_connections(2);
  EXPECT_TRUE(eventually([&] { return mismatches() == 2; }));
  lab().set_mode("refuse");
  server->remove("services", "shop", "api");
  // Gone when a SYN is not counted any more.
  EXPECT_TRUE(eventually([&] {
    const double before = agent->metric_sum("hairpind_syns_total");
    fail_connections(1);
    return agent->metric_sum("hairpind_syns_total") == before;
  }));
}

TEST_F(KubernetesTest, ExposureIsToldBeforeAnythingFails) {
  lab().set_mode("lb-snat");
  start_agent();
  ASSERT_TRUE(becomes_synced());
  ASSERT_TRUE(watches_for("10.0.5.5:443"));
  lab().inside("p1", [&] { EXPECT_EQ(complete_requests("10.0.5.5", 443, 3), 3); });
  const Json alert = first_alert("hairpin_exposure");
  EXPECT_EQ(alert["severity"], "warning");
  EXPECT_EQ(alert["client"]["pod"], "web-7d9f-abcde");
  EXPECT_EQ(alert["load_balancer"]["service"], "api");
  EXPECT_TRUE(alert["cause"].is_null());
  EXPECT_EQ(agent->metric("hairpind_exposed_pairs{lb_namespace=\"shop\",lb_service=\"api\"}"), 1);
  EXPECT_EQ(mismatches(), 0);

  // It fails, and is mended where no Service says so.
  lab().set_mode("ip-target");
  fail_connections(1);
  ASSERT_TRUE(eventually([&] { return mismatches() == 1; }));
  lab().set_mode("lb-snat");
  EXPECT_TRUE(eventually([&] {
    lab().inside("p1", [&] { complete_requests("10.0.5.5", 443, 1); });
    return agent->metric_sum("hairpind_exposed_pairs") == 0 &&
           agent->metric(
               "hairpind_problem_state{lb=\"10.0.5.5:443\",lb_namespace=\"shop\",lb_service=\"api\",state="
               "\"fixed\"}") == 1;
  })) << agent->get("/metrics").second;
}

TEST_F(KubernetesTest, AnOutageStopsNeitherDetectionNorNames) {
  start_agent();
  ASSERT_TRUE(becomes_synced());
  ASSERT_TRUE(watches_for("10.0.5.5:443"));
  server->set_faults({.drop_connections = true});
  server->close_watches();
  EXPECT_TRUE(eventually([&] { return agent->metric("hairpind_kubernetes_synced") == 0; }));
  fail_connections(5);
  EXPECT_TRUE(eventually([&] { return mismatches() == 5; }));
  EXPECT_EQ(first_alert("asymmetric_handshake")["client"]["pod"], "web-7d9f-abcde");
  EXPECT_EQ(agent->get("/healthz").first, 200);
  server->set_faults({});
  EXPECT_TRUE(becomes_synced()) << agent->standard_error();
  const std::string log = agent->standard_error();
  EXPECT_THAT(log, HasSubstr("keeping the last view"));
  EXPECT_THAT(log, HasSubstr("in step again"));
  // One line a collection, however often it was tried.
  std::size_t warnings = 0;
  for (std::size_t at = log.find("keeping the last view"); at != std::string::npos;
       at = log.find("keeping the last view", at + 1)) {
    warnings++;
  }
  EXPECT_LE(warnings, 4) << "pods, Services, nodes and Gateways";
}

constexpr const char* kHostName = "k8s-shop-api-0123456789.elb.eu-west-1.amazonaws.com";

/// The load balancer is known by its name alone; the node's DNS server and the cluster's are the test's.
class KubernetesDnsTest : public KubernetesTest {
 protected:
  void SetUp() override {
    KubernetesTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    lab().inside("node", [this] {
      dns = std::make_unique<DnsServer>(53);
      cluster_dns = std::make_unique<DnsServer>();
    });
    dns->set({.addresses = {ip("10.0.5.5"), ip("fd00:5::5")}}, kHostName);
    dns->set({.addresses = {ip("10.0.5.16")}}, std::string("eu-west-1c.") + kHostName);
    cluster_dns->set({.addresses = {ip("10.0.5.17")}}, kHostName);
    more_options = {"--cluster-dns", cluster_dns->servers()};
    server->upsert("services", service_by_name("api", kHostName));
    resolv_conf = "/tmp/hairpind-resolv-" + std::to_string(getpid());
    std::ofstream(resolv_conf) << "nameserver 127.0.0.1\n";
    start_agent();
    ASSERT_TRUE(becomes_synced()) << agent->standard_error();
    ASSERT_TRUE(watches_for("10.0.5.5:443")) << agent->standard_error();
  }
  void TearDown() override {
    if (!resolv_conf.empty()) {
      std::filesystem::remove(resolv_conf);
    }
  }

  /// DNS has been asked `count` times more for the name, and so answered at least once less.
  bool asks_again(int count) const {
    const int before = dns->questions(kHostName);
    return eventually([&] { return dns->questions(kHostName) >= before + count; });
  }
  double attempts_at(const std::string& lb) const {
    const Json status = Json::parse(agent->get("/v1/status").second);
    for (const Json& row : status["load_balancers"]) {
      if (row["lb"] == lb) {
        return row["attempts"].get<double>();
      }
    }
    return 0;
  }
  /// A SYN to this load balancer is counted: at once, in the kernel.
  bool counts_syns_to(const std::string& lb) const {
    const double before = attempts_at(lb + ":443");
    fail_connections(1, lb.c_str());
    return attempts_at(lb + ":443") == before + 1;
  }

  std::unique_ptr<DnsServer> dns;
  std::unique_ptr<DnsServer> cluster_dns;
};

TEST_F(KubernetesDnsTest, TheAddressesThatPodsResolveAreTheLoadBalancersToo) {
  EXPECT_TRUE(watches_for("10.0.5.16:443")) << "another zone's";
  EXPECT_TRUE(watches_for("10.0.5.17:443")) << "the cluster's DNS server's";
  EXPECT_TRUE(counts_syns_to("10.0.5.16"));
  EXPECT_TRUE(counts_syns_to("10.0.5.17"));
  EXPECT_EQ(agent->standard_error().find("keeping what is known"), std::string::npos)
      << "that most zones are not there is as it should be\n"
      << agent->standard_error();
}

TEST_F(KubernetesDnsTest, FindsAndNamesTheLoadBalancerByItsHostName) {
  fail_connections(2);
  const Json alert = first_alert("asymmetric_handshake");
  EXPECT_EQ(alert["load_balancer"]["hostname"], kHostName);
  EXPECT_EQ(alert["load_balancer"]["service"], "api");
  EXPECT_EQ(alert["client"]["pod"], "web-7d9f-abcde");
  EXPECT_THAT(alert["hint"].get<std::string>(), HasSubstr("shop/api"));
  lab().inside("p1", [] { const PendingConnections connections("fd00:5::5", 443, 1); });
  EXPECT_TRUE(eventually([&] { return mismatches() == 3; })) << agent->get("/metrics").second;
}

TEST_F(KubernetesDnsTest, ANewAddressIsWatchedAndTheOldOneStays) {
  dns->set({.addresses = {ip("10.0.5.7")}}, kHostName);
  ASSERT_TRUE(watches_for("10.0.5.7:443")) << agent->standard_error();
  EXPECT_TRUE(counts_syns_to("10.0.5.7"));
  EXPECT_TRUE(counts_syns_to("10.0.5.5")) << "clients hold on to what they resolved";
  fail_connections(1);
  EXPECT_EQ(first_alert("asymmetric_handshake")["load_balancer"]["hostname"], kHostName);
}

TEST_F(KubernetesDnsTest, FailingDnsKeepsTheLastView) {
  dns->set({.addresses = {}, .response_code = 3 /* NXDOMAIN */}, kHostName);
  ASSERT_TRUE(asks_again(3));
  EXPECT_TRUE(agent->logs(std::string("load balancer ") + kHostName + ": DNS: ")) << agent->standard_error();
  EXPECT_TRUE(counts_syns_to("10.0.5.5"));
  dns->set({.addresses = {}, .silent = true}, kHostName);
  ASSERT_TRUE(asks_again(3));
  EXPECT_TRUE(counts_syns_to("10.0.5.5"));
  fail_connections(1);
  EXPECT_EQ(first_alert("asymmetric_handshake")["load_balancer"]["hostname"], kHostName);
  dns->set({.addresses = {ip("10.0.5.7")}}, kHostName);
  EXPECT_TRUE(watches_for("10.0.5.7:443")) << agent->standard_error();
}

TEST_F(KubernetesDnsTest, ANameGoesWithTheLastServiceThatPublishesIt) {
  // One that sends a SYN back is watched without a name.
  lab().set_mode("refuse");
  server->upsert("services", service_by_name("second", kHostName));
  server->upsert("services", service("witness", "10.0.5.8"));
  ASSERT_TRUE(watches_for("10.0.5.8:443"));
  server->remove("services", "shop", "second");
  server->upsert("services", service("witness", "10.0.5.9"));
  ASSERT_TRUE(watches_for("10.0.5.9:443"));
  EXPECT_TRUE(counts_syns_to("10.0.5.5")) << "the first still publishes it";

  // Away from DNS, and then from the cluster.
  dns->set({.addresses = {}, .silent = true}, kHostName);
  server->remove("services", "shop", "api");
  server->upsert("services", service("witness", "10.0.5.10"));
  ASSERT_TRUE(watches_for("10.0.5.10:443"));
  EXPECT_FALSE(counts_syns_to("10.0.5.5"));

  // Published again, while DNS says nothing: what it said long ago is not believed.
  server->upsert("services", service_by_name("api", kHostName));
  server->upsert("services", service("witness", "10.0.5.11"));
  ASSERT_TRUE(watches_for("10.0.5.11:443"));
  EXPECT_FALSE(counts_syns_to("10.0.5.5"));
  dns->set({.addresses = {ip("10.0.5.5")}}, kHostName);
  EXPECT_TRUE(eventually([&] { return counts_syns_to("10.0.5.5"); })) << agent->standard_error();
}

struct Fault {
  const char* name;
  void (*cause)(ApiServer&);
};

class KubernetesFaultTest : public KubernetesTest, public ::testing::WithParamInterface<Fault> {};

TEST_P(KubernetesFaultTest, WhatChangesMeanwhileIsFoundAfterwards) {
  start_agent();
  ASSERT_TRUE(becomes_synced());
  ASSERT_TRUE(watches_for("10.0.5.5:443"));
  GetParam().cause(*server);
  server->upsert("services", service("late", "10.0.5.7"));
  server->close_watches();
  EXPECT_TRUE(watches_for("10.0.5.7:443")) << agent->standard_error();
  EXPECT_TRUE(becomes_synced()) << agent->standard_error();
}

constexpr Fault kFaults[] = {
    {"watch_closed", [](ApiServer&) {}},
    {"history_gone", [](ApiServer& server) { server.compact(); }},
    {"error_event", [](ApiServer& server) { server.send_error_event(); }},
    {"garbage", [](ApiServer& server) { server.send_line("{\"type\": 7"); }},
    {"lines_cut_anywhere", [](ApiServer& server) { server.set_faults({.cut_watch_lines = true}); }},
    {"small_pages",
     [](ApiServer& server) {
       server.set_faults({.page_size = 1});
       server.compact();
     }},
    {"too_many_requests", [](ApiServer& server) { server.fail_next(3, 429, 1); }},
    {"server_error", [](ApiServer& server) { server.fail_next(5, 500); }},
    {"unauthorized_for_a_while", [](ApiServer& server) { server.fail_next(4, 401); }},
};
INSTANTIATE_TEST_SUITE_P(Lab, KubernetesFaultTest, ::testing::ValuesIn(kFaults),
                         [](const auto& fault) { return std::string(fault.param.name); });

// All others of the agent's rights are gone by then.
TEST_F(KubernetesTest, APluginIsRunForTheToken) {
  const std::string plugin = "/tmp/hairpind-plugin-" + std::to_string(getpid());
  std::ofstream(plugin) << R"(#!/bin/sh
echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":")"
                        << server->token() << "\"}}'\n";
  std::filesystem::permissions(plugin, std::filesystem::perms::owner_all);
  YAML::Node config = YAML::Load(kubeconfig(*server));
  YAML::Node user;
  user["exec"]["apiVersion"] = "client.authentication.k8s.io/v1";
  user["exec"]["command"] = plugin;
  user["exec"]["interactiveMode"] = "Never";
  config["users"][0]["user"] = user;
  start_agent(YAML::Dump(config));
  EXPECT_TRUE(becomes_synced()) << agent->standard_error();
  EXPECT_TRUE(watches_for("10.0.5.5:443"));
  agent.reset();
  std::filesystem::remove(plugin);
}

TEST_F(KubernetesTest, AServerThatNobodyVerifiesIsWarnedOfOnce) {
  YAML::Node config = YAML::Load(kubeconfig(*server));
  YAML::Node cluster = config["clusters"][0]["cluster"];
  cluster.remove("certificate-authority-data");
  cluster["insecure-skip-tls-verify"] = true;
  start_agent(YAML::Dump(config));
  EXPECT_TRUE(becomes_synced()) << agent->standard_error();
  const std::string log = agent->standard_error();
  const std::size_t first = log.find("insecure-skip-tls-verify");
  ASSERT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find("insecure-skip-tls-verify", first + 1), std::string::npos) << log;
}

TEST_F(KubernetesTest, LeavesPromptlyWhileTheServerIsSilent) {
  server->set_faults({.stall_requests = true});
  start_agent();
  EXPECT_TRUE(eventually([&] { return !server->requests().empty(); }));
  agent->send_signal(SIGTERM);
  EXPECT_EQ(agent->wait_for_exit(), 0) << agent->standard_error();
}

TEST_F(KubernetesTest, ALargeClusterThatChangesFitsIntoTheMemoryLimitAndIsFollowed) {
  ClusterChurn churn(*server, 10000, 250, 10000);
  start_agent();
  ASSERT_TRUE(becomes_synced()) << agent->standard_error();
  // Changes go on while connections fail; what they cost is measured by scripts/bench.sh.
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 100; i++) {
      churn.change();
    }
    fail_connections(1);
  }
  EXPECT_TRUE(eventually([&] {
    return agent->metric(
               "hairpind_client_mismatches_total{lb=\"10.0.5.5:443\",lb_namespace=\"shop\",lb_service=\"api\","
               "cause=\"hairpin_ip_target\",client_namespace=\"shop\"}") == 20;
  })) << agent->get("/metrics").second;
  EXPECT_EQ(first_alert("asymmetric_handshake")["load_balancer"]["service"], "api");
  // The newest of the addresses that moved is watched, the one it had before is not.
  const auto syns = [&](const std::string& address) {
    return agent->metric("hairpind_syns_total{lb=\"" + address + ":443\",lb_namespace=\"big\",lb_service=\"" +
                         churn.last_move().service + "\"}");
  };
  EXPECT_TRUE(eventually([&] {
    fail_connections(1, churn.last_move().to.c_str());
    return syns(churn.last_move().to) > 0;
  })) << agent->standard_error();
  fail_connections(1, churn.last_move().from.c_str());
  EXPECT_EQ(agent->get("/metrics").second.find(churn.last_move().from + ":443"), std::string::npos);
  const long peak = peak_kib();
  EXPECT_GT(peak, 0);
  EXPECT_LT(peak, 48 * 1024) << "KiB";
}

// As most clusters are: of many Services few are load balancers. With the largest table of attempts that is supported
// in the manifest's memory, which is the kernel's and none of this.
TEST_F(KubernetesTest, TenThousandServicesOfWhichTwoHundredAreLoadBalancersTakeLittle) {
  ClusterChurn churn(*server, 10000, 250, 200);
  more_options = {"--pending-syns", "262144"};
  start_agent();
  ASSERT_TRUE(becomes_synced()) << agent->standard_error();
  EXPECT_EQ(agent->metric(R"(hairpind_load_balancers{origin="service"})"), 201) << "and the lab's own";
  for (int i = 0; i < 2000; i++) {
    churn.change();
  }
  EXPECT_TRUE(eventually([&] {
    fail_connections(1, churn.last_move().to.c_str());
    return agent->metric("hairpind_syns_total{lb=\"" + churn.last_move().to +
                         ":443\",lb_namespace=\"big\",lb_service=\"" + churn.last_move().service + "\"}") > 0;
  })) << agent->standard_error();
  const long peak = peak_kib();
  EXPECT_GT(peak, 0);
  EXPECT_LE(peak, 24 * 1024) << "KiB";
}

TEST_F(KubernetesTest, AuditReadsTheCluster) {
  const std::string directory = "/tmp/hairpind-audit-" + std::to_string(getpid());
  std::filesystem::create_directory(directory);
  std::ofstream(directory + "/config") << kubeconfig(*server);
  const auto audit = [&] {
    int status = -1;
    lab().inside("node", [&] {
      status = run_command({"sh", "-c",
                            std::string(HAIRPIND_BINARY) + " audit -o json --kubeconfig " + directory + "/config >" +
                                directory + "/out 2>" + directory + "/err"});
    });
    return status;
  };
  server->set_faults({.page_size = 1});
  EXPECT_EQ(audit(), 1) << read_file(directory + "/err");
  const Json report = Json::parse(read_file(directory + "/out"));
  ASSERT_EQ(report["services"].size(), 1) << report;
  EXPECT_EQ(report["services"][0]["name"], "api");
  EXPECT_EQ(report["services"][0]["verdict"], "at_risk");
  EXPECT_EQ(report["services"][0]["exposed_nodes"], 1);
  server->set_permissions({"list services"});
  EXPECT_EQ(audit(), 1);
  EXPECT_THAT(read_file(directory + "/err"), HasSubstr("pods is forbidden"));
  server->set_permissions({"list pods"});
  EXPECT_EQ(audit(), 2);
  EXPECT_THAT(read_file(directory + "/err"), HasSubstr("services is forbidden"));
  std::filesystem::remove_all(directory);
}

TEST_F(KubernetesTest, AMissingRightIsNamedOnce) {
  server->set_permissions({"list pods", "watch pods", "list nodes", "watch nodes"});
  start_agent();
  EXPECT_TRUE(agent->logs("services is forbidden"));
  EXPECT_THAT(agent->standard_error(), HasSubstr("cannot list resource \"services\""));
  EXPECT_THAT(agent->standard_error(), HasSubstr("ClusterRole"));
  EXPECT_EQ(agent->metric("hairpind_kubernetes_synced"), 0);
  server->set_permissions({"all"});
}

TEST_F(KubernetesTest, AForeignCaIsRefused) {
  start_agent(kubeconfig(*server, Credential::kToken, server->certificates().other_ca));
  EXPECT_TRUE(agent->logs("not signed by the expected CA")) << agent->standard_error();
  EXPECT_THAT(server->requests(), ::testing::IsEmpty());
}

TEST_F(KubernetesTest, AClientCertificateIsAsGoodAsAToken) {
  start_agent(kubeconfig(*server, Credential::kClientCertificate));
  EXPECT_TRUE(becomes_synced()) << agent->standard_error();
}

TEST_F(KubernetesTest, TheManifestGrantsWhatTheAgentAsksForAndNoMore) {
  // The server grants the manifest's rights only: what is missing there, the agent is refused here.
  server->set_permissions(granted_rights());
  start_agent();
  ASSERT_TRUE(becomes_synced()) << agent->standard_error();
  EXPECT_TRUE(eventually([&] { return server->open_watches() == 4; }));
  // Asked for beside Cilium only, when a packet was dropped (lab_cilium); and when a load balancer that nobody
  // publishes has failed.
  // Events are written when something has failed (lab_life).
  std::set<std::string> wanted{"get ciliumidentities.cilium.io", "create events", "patch events"};
  for (const char* const kind : {"targetgroupbindings.elbv2.k8s.aws", "ingresses.networking.k8s.io"}) {
    wanted.insert(std::string("get ") + kind);
    wanted.insert(std::string("list ") + kind);
  }
  for (const std::string& request : server->requests()) {
    wanted.insert(request);
    // A list says all that get would, and no role grants the one without the other.
    if (request.starts_with("list ")) {
      wanted.insert("get" + request.substr(4));
    }
  }
  EXPECT_EQ(granted_rights(), wanted);
}

}  // namespace
}  // namespace hairpind::testing
