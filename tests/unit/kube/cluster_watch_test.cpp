// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/cluster_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "api_access.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using testing::access_to;
using testing::ApiServer;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::eventually;
using ::testing::HasSubstr;

Json pod(const std::string& name) {
  return {{"metadata", {{"namespace", "shop"}, {"name", name}}}, {"spec", {{"nodeName", "n1"}}}};
}

Json service(const std::string& name, const std::string& type = "LoadBalancer") {
  return {{"metadata", {{"namespace", "shop"}, {"name", name}}}, {"spec", {{"type", type}}}};
}

class ClusterWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    server.upsert("nodes", {{"metadata", {{"name", "n1"}}}});
  }

  void start(const std::string& node = "n1") {
    watch = *ClusterWatch::start(
        access_to(server), node, [] {},
        [this](const std::string& resource, const std::string& why) {
          const std::scoped_lock lock(mutex);
          told.push_back(resource + ": " + why);
        });
  }

  /// All watches have been told of everything so far: a witness comes through each.
  bool takes_in(const std::string& witness) {
    server.upsert("pods", pod(witness));
    server.upsert("services", service(witness));
    bool pods = false;
    bool services = false;
    return eventually([&] {
      const ClusterChanges changes = take();
      pods = pods || std::ranges::any_of(changes.pods, [&](const Pod& each) { return each.ref.name == witness; });
      services =
          services || std::ranges::any_of(changes.services, [&](const Service& each) { return each.name == witness; });
      return pods && services;
    });
  }
  ClusterChanges take() {
    ClusterChanges changes = watch->take_changes();
    std::ranges::copy(changes.pods, std::back_inserter(seen.pods));
    std::ranges::copy(changes.services, std::back_inserter(seen.services));
    std::ranges::copy(changes.removed_pods, std::back_inserter(seen.removed_pods));
    std::ranges::copy(changes.removed_services, std::back_inserter(seen.removed_services));
    return changes;
  }
  std::vector<std::string> troubles() {
    const std::scoped_lock lock(mutex);
    return told;
  }
  std::vector<std::string> pod_names() const {
    std::vector<std::string> names;
    for (const Pod& each : seen.pods) {
      names.push_back(each.ref.name);
    }
    return names;
  }
  std::vector<std::string> service_names() const {
    std::vector<std::string> names;
    for (const Service& each : seen.services) {
      names.push_back(each.name);
    }
    return names;
  }

  ApiServer server;
  std::mutex mutex;
  std::vector<std::string> told;
  std::unique_ptr<ClusterWatch> watch;
  ClusterChanges seen;
};

TEST_F(ClusterWatchTest, WhatWentDuringAnOutageIsTold) {
  server.upsert("pods", pod("gone"));
  server.upsert("services", service("gone"));
  server.upsert("services", service("stays"));
  start();
  ASSERT_TRUE(takes_in("first"));
  server.set_faults({.drop_connections = true});
  server.close_watches();
  ASSERT_TRUE(eventually([&] { return !watch->synced(); }));
  server.remove("pods", "shop", "gone");
  server.remove("services", "shop", "gone");
  server.compact();
  seen = {};
  server.set_faults({});
  ASSERT_TRUE(eventually([&] {
    take();
    return watch->synced() && !seen.removed_pods.empty() && !seen.removed_services.empty();
  }));
  ASSERT_EQ(seen.removed_pods.size(), 1);
  EXPECT_EQ(seen.removed_pods[0].name, "gone");
  EXPECT_THAT(seen.removed_services, ElementsAre("shop/gone"));
}

TEST_F(ClusterWatchTest, AServiceThatIsNoLoadBalancerAnyMoreIsGone) {
  server.upsert("services", service("api"));
  server.upsert("services", service("inside", "ClusterIP"));
  for (const bool old_server : {true, false}) {
    server.set_faults({.old_selectors = old_server});
    server.upsert("services", service("api"));
    seen = {};
    start();
    ASSERT_TRUE(takes_in(old_server ? "first" : "third"));
    EXPECT_THAT(service_names(), Contains("api"));
    EXPECT_THAT(service_names(), ::testing::Not(Contains("inside")));
    server.upsert("services", service("api", "ClusterIP"));
    ASSERT_TRUE(takes_in(old_server ? "second" : "fourth"));
    EXPECT_THAT(seen.removed_services, ElementsAre("shop/api")) << old_server;
  }
}

TEST_F(ClusterWatchTest, GatewaysAreFollowedWhereThereAreAny) {
  server.upsert("gateways", {{"metadata", {{"namespace", "shop"}, {"name", "edge"}}},
                             {"spec", {{"listeners", Json::array({{{"port", 443}, {"protocol", "TLS"}}})}}}});
  start();
  ASSERT_TRUE(eventually([&] {
    take();
    return std::ranges::any_of(seen.services, [](const Service& each) { return each.name == "edge"; });
  }));
  EXPECT_EQ(seen.services.back().full_name(), "Gateway shop/edge");
  server.remove("gateways", "shop", "edge");
  EXPECT_TRUE(eventually([&] {
    take();
    return std::ranges::find(seen.removed_services, "Gateway shop/edge") != seen.removed_services.end();
  }));
}

TEST_F(ClusterWatchTest, AClusterWithoutGatewaysOrTheRightToThemIsInStep) {
  server.set_faults({.without_gateways = true});
  start();
  EXPECT_TRUE(eventually([&] { return watch->synced(); }));
  EXPECT_THAT(troubles(), ::testing::IsEmpty());
  server.set_faults({});
  server.set_permissions({"list pods", "watch pods", "list services", "watch services", "list nodes", "watch nodes"});
  watch.reset();
  start();
  EXPECT_TRUE(eventually([&] { return watch->synced(); }));
  EXPECT_THAT(troubles(), Contains(HasSubstr("gateways.gateway.networking.k8s.io is forbidden")));
}

TEST_F(ClusterWatchTest, OnlyThisNodesPodsAreFollowed) {
  Json elsewhere = pod("elsewhere");
  elsewhere["spec"]["nodeName"] = "n2";
  server.upsert("pods", elsewhere);
  start();
  ASSERT_TRUE(takes_in("here"));
  EXPECT_THAT(pod_names(), ElementsAre("here"));
}

TEST_F(ClusterWatchTest, OfItsNodeItTellsWhatChanges) {
  start();
  const auto zone_is = [this](const std::string& zone) {
    return eventually([&] {
      const auto node = take().node;
      return node && node->zone == zone;
    });
  };
  EXPECT_TRUE(zone_is(""));
  server.upsert("nodes", {{"metadata", {{"name", "n1"}, {"labels", {{"topology.kubernetes.io/zone", "eu-west-1a"}}}}}});
  EXPECT_TRUE(zone_is("eu-west-1a"));
}

TEST_F(ClusterWatchTest, ANodeThatTheClusterLacksIsSaidOnce) {
  start("n-typo");
  ASSERT_TRUE(eventually([&] { return !troubles().empty(); }));
  EXPECT_THAT(troubles(), ElementsAre(::testing::AllOf(HasSubstr("nodes: the cluster has no node 'n-typo'"),
                                                       HasSubstr("--node-name"))));
  EXPECT_FALSE(watch->synced());
  for (int i = 0; i < 3; i++) {
    const auto before = server.count_of("watch nodes");
    server.close_watches("nodes");
    ASSERT_TRUE(eventually([&] { return server.count_of("watch nodes") > before; }));
  }
  EXPECT_EQ(troubles().size(), 1);
  // It may come later than its agent.
  server.upsert("nodes", {{"metadata", {{"name", "n-typo"}}}});
  EXPECT_TRUE(eventually([&] { return watch->synced(); }));
  EXPECT_THAT(troubles(), ElementsAre(::testing::_, "nodes: "));
}

TEST_F(ClusterWatchTest, TextOfTenantsIsCut) {
  Json huge = service("huge");
  huge["metadata"]["annotations"] = {{"example.com/huge", std::string(250000, 'x')},
                                     {"metallb.io/address-pool", std::string(2000, 'p')}};
  server.upsert("services", huge);
  start();
  // Behind it in the list.
  ASSERT_TRUE(takes_in("last"));
  ASSERT_THAT(service_names(), Contains("huge"));
  for (const Service& each : seen.services) {
    if (each.name == "huge") {
      EXPECT_EQ(each.annotations,
                (std::map<std::string, std::string>{{"metallb.io/address-pool", std::string(1024, 'p')}}));
    }
  }
}

}  // namespace
}  // namespace hairpind
