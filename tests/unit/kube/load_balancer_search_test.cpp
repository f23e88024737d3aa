// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/load_balancer_search.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "api_access.hpp"
#include "hairpind/kube/load_balancer_objects.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using testing::access_to;
using testing::ApiServer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* kListBindings = "list targetgroupbindings.elbv2.k8s.aws";
constexpr const char* kListIngresses = "list ingresses.networking.k8s.io";
constexpr const char* kGetServices = "get services";

Endpoint endpoint(const char* address, std::uint16_t port) {
  return {.address = *IpAddress::parse(address), .port = port};
}

Json binding(const std::string& name_space, const std::string& name, const std::string& service, const char* type) {
  return {
      {"metadata", {{"namespace", name_space}, {"name", name}}},
      {"spec",
       {{"targetGroupARN", "arn:" + name}, {"targetType", type}, {"serviceRef", {{"name", service}, {"port", 443}}}}}};
}

Json service(const std::string& name_space, const std::string& name, const std::string& app, int node_port) {
  return {{"metadata", {{"namespace", name_space}, {"name", name}}},
          {"spec",
           {{"type", "NodePort"},
            {"selector", {{"app", app}}},
            {"ports", Json::array({{{"port", 443}, {"nodePort", node_port}, {"targetPort", 8443}}})}}}};
}

Json ingress(const std::string& name, const std::string& created, const std::string& address) {
  return {{"metadata", {{"namespace", "shop"}, {"name", name}, {"creationTimestamp", created}}},
          {"status", {{"loadBalancer", {{"ingress", Json::array({{{"ip", address}}})}}}}}};
}

LoadBalancerTarget pod_target(const char* app = "api") {
  Pod pod;
  pod.ref = {.namespace_name = "shop", .name = "p", .workload = ""};
  pod.labels = {{"app", app}};
  return {.endpoint = endpoint("10.0.1.20", 8443), .pod = pod};
}

class LoadBalancerSearchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    server.upsert("services", service("shop", "other", "other", 30444));
    server.upsert("services", service("shop", "backend", "api", 30443));
    server.upsert("services", service("elsewhere", "backend", "api", 30445));
    start({});
  }

  void start(SearchPauses pauses) { search = *LoadBalancerSearch::start(access_to(server), pauses); }

  std::optional<LoadBalancerRef> answer(const Endpoint& load_balancer, const LoadBalancerTarget& target) {
    search->ask({.load_balancer = load_balancer, .target = target});
    LoadBalancerSearch::Answers answers;
    for (int i = 0; i < 3000 && answers.empty(); i++) {
      std::this_thread::sleep_for(10ms);
      answers = search->take();
    }
    EXPECT_TRUE(answers.contains(load_balancer));
    return answers[load_balancer];
  }

  ApiServer server;
  std::unique_ptr<LoadBalancerSearch> search;
};

TEST_F(LoadBalancerSearchTest, ATargetGroupBindingOfThePodsNamespaceNamesTheService) {
  server.upsert("targetgroupbindings", binding("elsewhere", "a", "backend", "ip"));
  server.upsert("targetgroupbindings", binding("shop", "a", "other", "ip"));
  server.upsert("targetgroupbindings", binding("shop", "b", "gone", "ip"));
  server.upsert("targetgroupbindings", binding("shop", "c", "backend", "instance"));
  server.upsert("targetgroupbindings", binding("shop", "d", "backend", "ip"));
  const auto found = answer(endpoint("10.0.5.5", 443), pod_target());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->full_name(), "shop/backend");
  EXPECT_EQ(found->binding, "d");
  EXPECT_EQ(found->target_group, "arn:d");
  EXPECT_EQ(server.count_of(kGetServices), 3) << "one by one, of this namespace, and never the whole collection";
  EXPECT_EQ(server.count_of(kListIngresses), 0);
}

TEST_F(LoadBalancerSearchTest, ANodePortIsLookedForInAllNamespaces) {
  server.upsert("targetgroupbindings", binding("elsewhere", "a", "backend", "instance"));
  server.upsert("targetgroupbindings", binding("shop", "c", "backend", "instance"));
  server.upsert("targetgroupbindings", binding("shop", "d", "backend", "ip"));
  const auto found = answer(endpoint("10.0.5.5", 443), {.endpoint = endpoint("10.0.0.4", 30443), .pod = std::nullopt});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->full_name(), "shop/backend");
  EXPECT_EQ(found->binding, "c");
}

TEST_F(LoadBalancerSearchTest, ElseTheOldestIngressWithTheAddress) {
  server.upsert("ingresses", ingress("a", "2026-02-01T00:00:00Z", "10.0.5.5"));
  server.upsert("ingresses", ingress("b", "2026-01-01T00:00:00Z", "10.0.5.5"));
  server.upsert("ingresses", ingress("c", "2025-01-01T00:00:00Z", "10.0.5.6"));
  const auto found = answer(endpoint("10.0.5.5", 443), pod_target());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->full_name(), "Ingress shop/b");
  EXPECT_EQ(answer(endpoint("10.0.5.7", 443), pod_target()), std::nullopt);
}

TEST_F(LoadBalancerSearchTest, OfIngressesOfTheSameSecondTheFirstByName) {
  for (const char* const name : {"a", "b", "c"}) {
    server.upsert("ingresses", ingress(name, "2026-01-01T00:00:00Z", "10.0.5.5"));
  }
  const auto found = answer(endpoint("10.0.5.5", 443), pod_target());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->full_name(), "Ingress shop/a");
}

TEST_F(LoadBalancerSearchTest, AboutOneLoadBalancerAndOfAKindThatIsNotServedNobodyIsAskedTwice) {
  server.set_faults({.without_gateways = true});
  EXPECT_EQ(answer(endpoint("10.0.5.5", 443), pod_target()), std::nullopt);
  EXPECT_FALSE(search->is_to_be_asked(endpoint("10.0.5.5", 443)));
  search->ask({.load_balancer = endpoint("10.0.5.5", 443), .target = pod_target()});
  EXPECT_EQ(answer(endpoint("10.0.5.6", 443), pod_target()), std::nullopt);
  EXPECT_EQ(server.count_of(kListBindings), 1);
  EXPECT_EQ(server.count_of(kListIngresses), 2);
}

TEST_F(LoadBalancerSearchTest, AServerThatFailsIsLeftAloneAndHasSaidNothing) {
  server.fail_next(1, 500, 0, kListBindings);
  search->ask({.load_balancer = endpoint("10.0.5.5", 443), .target = pod_target()});
  for (int i = 0; i < 3000 && server.count_of(kListBindings) == 0; i++) {
    std::this_thread::sleep_for(10ms);
  }
  for (int i = 0; i < 50; i++) {
    std::this_thread::sleep_for(2ms);
    search->ask({.load_balancer = endpoint("10.0.5.6", 443), .target = pod_target()});
  }
  EXPECT_THAT(search->take(), IsEmpty());
  EXPECT_EQ(server.count_of(kListIngresses), 0);
  EXPECT_LE(server.count_of(kListBindings), 2);
  EXPECT_FALSE(search->is_to_be_asked(endpoint("10.0.5.7", 443)));
}

TEST_F(LoadBalancerSearchTest, WhoWaitsBehindAServerThatFailsIsForgotten) {
  // The first stands still until the others wait behind it, and fails then.
  server.set_faults({.stall_requests = true});
  search->ask({.load_balancer = endpoint("10.0.5.5", 443), .target = pod_target()});
  ASSERT_TRUE(testing::eventually([&] { return server.count_of(kListBindings) == 1; }));
  for (const char* const other : {"10.0.5.6", "10.0.5.7"}) {
    search->ask({.load_balancer = endpoint(other, 443), .target = pod_target()});
  }
  server.fail_next(1, 500, 0, kListBindings);
  server.set_faults({});
  ASSERT_TRUE(testing::eventually([&] { return !search->is_to_be_asked(endpoint("10.0.5.8", 443)); }));
  // Longer than it takes to put two questions that nothing holds up.
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(server.count_of(kListBindings), 1);
  EXPECT_THAT(search->take(), IsEmpty());
}

TEST_F(LoadBalancerSearchTest, ATenantsBindingsMakeNobodyAskForEver) {
  for (int i = 0; i < 200; i++) {
    server.upsert("targetgroupbindings", binding("shop", "b" + std::to_string(i), "s" + std::to_string(i), "ip"));
  }
  EXPECT_EQ(answer(endpoint("10.0.5.5", 443), pod_target()), std::nullopt);
  EXPECT_EQ(server.count_of(kGetServices), LoadBalancerSearch::kMostServices);
}

TEST_F(LoadBalancerSearchTest, AServiceThatHasBeenReadCountsBehindTooManyOthers) {
  Json elsewhere = binding("shop", "a", "backend", "ip");
  elsewhere["spec"]["serviceRef"]["port"] = 80;
  server.upsert("targetgroupbindings", elsewhere);
  for (int i = 0; i < 200; i++) {
    server.upsert("targetgroupbindings", binding("shop", "b" + std::to_string(i), "s" + std::to_string(i), "ip"));
  }
  server.upsert("targetgroupbindings", binding("shop", "c", "backend", "ip"));
  const auto found = answer(endpoint("10.0.5.5", 443), pod_target());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->binding, "c");
  EXPECT_EQ(server.count_of(kGetServices), LoadBalancerSearch::kMostServices);
}

TEST_F(LoadBalancerSearchTest, BeyondAThousandBindingsOfATenantNobodyLooks) {
  for (int i = 0; i < 1024; i++) {
    server.upsert("targetgroupbindings", binding("shop", "b" + std::to_string(i), "other", "ip"));
  }
  server.upsert("targetgroupbindings", binding("shop", "c", "backend", "ip"));
  EXPECT_EQ(answer(endpoint("10.0.5.5", 443), pod_target()), std::nullopt);
  EXPECT_EQ(server.count_of(kGetServices), 1);
  ASSERT_TRUE(server.remove("targetgroupbindings", "shop", "b0"));
  EXPECT_TRUE(answer(endpoint("10.0.5.6", 443), pod_target()));
}

TEST_F(LoadBalancerSearchTest, TheEndWaitsForNoServerThatKeepsSilent) {
  server.set_faults({.stall_requests = true});
  search->ask({.load_balancer = endpoint("10.0.5.5", 443), .target = pod_target()});
  ASSERT_TRUE(testing::eventually([&] { return server.count_of(kListBindings) == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  search.reset();
  // Half a minute it would be given.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
}

TEST_F(LoadBalancerSearchTest, WhatIsAskedIsOfTheNamespaceAndFromTheServersCache) {
  server.upsert("targetgroupbindings", binding("shop", "a", "backend", "ip"));
  ASSERT_TRUE(answer(endpoint("10.0.5.5", 443), pod_target()));
  const std::vector<std::string> targets = server.targets();
  ASSERT_EQ(targets.size(), 2);
  EXPECT_THAT(targets[0], StartsWith("/apis/elbv2.k8s.aws/v1beta1/namespaces/shop/targetgroupbindings?"));
  EXPECT_THAT(targets[0], HasSubstr("resourceVersion=0"));
  EXPECT_EQ(targets[1], "/api/v1/namespaces/shop/services/backend?resourceVersion=0");
}

TEST_F(LoadBalancerSearchTest, OneServiceOfManyBindingsIsReadOnce) {
  for (const char* const name : {"a", "b", "c"}) {
    server.upsert("targetgroupbindings", binding("shop", name, "other", "ip"));
  }
  server.upsert("targetgroupbindings", binding("shop", "d", "backend", "ip"));
  const auto found = answer(endpoint("10.0.5.5", 443), pod_target());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->full_name(), "shop/backend");
  EXPECT_EQ(server.count_of(kGetServices), 2);
}

TEST_F(LoadBalancerSearchTest, ABindingOfInstancesIsNotAPodsWhateverThePortsNumber) {
  server.upsert("targetgroupbindings", binding("shop", "a", "backend", "instance"));
  LoadBalancerTarget target = pod_target();
  target.endpoint.port = 30443;
  EXPECT_EQ(answer(endpoint("10.0.5.5", 443), target), std::nullopt);
  EXPECT_EQ(server.count_of(kGetServices), 0);
}

TEST_F(LoadBalancerSearchTest, AHostNetworkPodIsANodesPortOrOneOfItsOwnNamespace) {
  server.upsert("targetgroupbindings", binding("elsewhere", "a", "backend", "ip"));
  server.upsert("targetgroupbindings", binding("elsewhere", "b", "backend", "instance"));
  LoadBalancerTarget target = pod_target();
  target.pod->host_network = true;
  target.endpoint = endpoint("10.0.0.4", 30445);
  const auto by_port = answer(endpoint("10.0.5.5", 443), target);
  ASSERT_TRUE(by_port);
  EXPECT_EQ(by_port->binding, "b");
  EXPECT_EQ(by_port->full_name(), "elsewhere/backend");
  server.upsert("targetgroupbindings", binding("shop", "c", "backend", "ip"));
  target.endpoint = endpoint("10.0.0.4", 8443);
  const auto by_selector = answer(endpoint("10.0.5.6", 443), target);
  ASSERT_TRUE(by_selector);
  EXPECT_EQ(by_selector->full_name(), "shop/backend");
}

TEST_F(LoadBalancerSearchTest, ABindingGoesBeforeAnIngressAndTheFirstThatFits) {
  server.upsert("ingresses", ingress("a", "2026-02-01T00:00:00Z", "10.0.5.5"));
  server.upsert("targetgroupbindings", binding("shop", "b", "backend", "ip"));
  server.upsert("targetgroupbindings", binding("shop", "a", "backend", "ip"));
  const auto found = answer(endpoint("10.0.5.5", 443), pod_target());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, "");
  EXPECT_EQ(found->binding, "a");
}

TEST_F(LoadBalancerSearchTest, AnIngressOfAListThatWasCutShortIsNoAnswer) {
  // Page by page, so that there is time enough to let one fail that is not the first.
  constexpr std::size_t kIngresses = 500;
  server.set_faults({.page_size = 1});
  for (std::size_t i = 0; i < kIngresses; i++) {
    server.upsert("ingresses", ingress("i" + std::to_string(i), "2026-01-01T00:00:00Z", "10.0.5.5"));
  }
  search->ask({.load_balancer = endpoint("10.0.5.5", 443), .target = pod_target()});
  ASSERT_TRUE(testing::eventually([&] { return server.count_of(kListIngresses) > 0; }));
  server.fail_next(1, 500, 0, kListIngresses);
  LoadBalancerSearch::Answers answers;
  ASSERT_TRUE(testing::eventually([&] {
    answers = search->take();
    return !answers.empty() || !search->is_to_be_asked(endpoint("10.0.5.6", 443));
  }));
  ASSERT_LT(server.count_of(kListIngresses), kIngresses);
  EXPECT_THAT(answers, IsEmpty()) << "the oldest may be on a page that did not come";
}

TEST_F(LoadBalancerSearchTest, AKindThatIsNotGrantedIsPassedOverAndNotAskedForAgain) {
  server.set_permissions({kListIngresses, kGetServices});
  server.upsert("targetgroupbindings", binding("shop", "a", "backend", "ip"));
  server.upsert("ingresses", ingress("a", "2026-02-01T00:00:00Z", "10.0.5.5"));
  const auto found = answer(endpoint("10.0.5.5", 443), pod_target());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->full_name(), "Ingress shop/a");
  EXPECT_EQ(answer(endpoint("10.0.5.6", 443), pod_target()), std::nullopt);
  EXPECT_EQ(server.count_of(kListBindings), 1);
  EXPECT_EQ(server.count_of(kListIngresses), 2) << "the one is not the other";
}

TEST_F(LoadBalancerSearchTest, AServiceThatIsNotGrantedIsNoAnswer) {
  server.set_permissions({kListBindings, kListIngresses});
  server.upsert("targetgroupbindings", binding("shop", "a", "backend", "ip"));
  server.upsert("ingresses", ingress("a", "2026-02-01T00:00:00Z", "10.0.5.5"));
  search->ask({.load_balancer = endpoint("10.0.5.5", 443), .target = pod_target()});
  for (int i = 0; i < 3000 && search->is_to_be_asked(endpoint("10.0.5.7", 443)); i++) {
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_FALSE(search->is_to_be_asked(endpoint("10.0.5.7", 443))) << "who could not be asked is left alone";
  EXPECT_THAT(search->take(), IsEmpty()) << "and has not said that it is the Ingress";
  EXPECT_EQ(server.count_of(kListIngresses), 0);
}

TEST_F(LoadBalancerSearchTest, WhatWasAskedAndWhatWasNotThereIsAskedAgainInTime) {
  start({.ask_again = 300ms, .after_failure = 1min});
  server.set_faults({.without_gateways = true});
  const Endpoint load_balancer = endpoint("10.0.5.5", 443);
  EXPECT_EQ(answer(load_balancer, pod_target()), std::nullopt);
  server.set_faults({});
  server.upsert("targetgroupbindings", binding("shop", "a", "backend", "ip"));
  for (int i = 0; i < 3000 && !search->is_to_be_asked(load_balancer); i++) {
    std::this_thread::sleep_for(10ms);
  }
  // The kind is looked for again a moment later than the load balancer.
  std::optional<LoadBalancerRef> found;
  for (int i = 0; i < 20 && !found; i++) {
    found = answer(endpoint("10.0.5.5", static_cast<std::uint16_t>(443 + i)), pod_target());
    std::this_thread::sleep_for(100ms);
  }
  EXPECT_TRUE(found);
  EXPECT_GE(server.count_of(kListBindings), 2);
}

TEST_F(LoadBalancerSearchTest, AServerThatFailedIsAskedAgainLongBeforeOneThatAnswered) {
  start({.ask_again = 10min, .after_failure = 200ms});
  const Endpoint load_balancer = endpoint("10.0.5.5", 443);
  server.upsert("targetgroupbindings", binding("shop", "a", "backend", "ip"));
  server.fail_next(1, 500, 0, kListBindings);
  search->ask({.load_balancer = load_balancer, .target = pod_target()});
  EXPECT_FALSE(search->is_to_be_asked(load_balancer));
  for (int i = 0; i < 3000 && !search->is_to_be_asked(load_balancer); i++) {
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_TRUE(answer(load_balancer, pod_target()));
  EXPECT_FALSE(search->is_to_be_asked(load_balancer));
}

TEST_F(LoadBalancerSearchTest, WhoWasAskedLongestAgoIsForgottenFirst) {
  server.set_permissions({"get pods"});
  const auto nth = [](std::size_t number) { return endpoint("10.0.5.5", static_cast<std::uint16_t>(1000 + number)); };
  for (std::size_t i = 0; i <= LoadBalancerSearch::kMostAsked; i++) {
    EXPECT_EQ(answer(nth(i), pod_target()), std::nullopt);
  }
  EXPECT_TRUE(search->is_to_be_asked(nth(0)));
  EXPECT_FALSE(search->is_to_be_asked(nth(1)));
  EXPECT_FALSE(search->is_to_be_asked(nth(LoadBalancerSearch::kMostAsked)));
  EXPECT_EQ(server.count_of(kListBindings), 1);
  EXPECT_EQ(server.count_of(kListIngresses), 1);
}

TEST(IsPublishedByIngress, AnyOfItsAddressesAndNoOther) {
  Json object = ingress("a", "2026-02-01T00:00:00Z", "10.0.5.4");
  Json& entries = object["status"]["loadBalancer"]["ingress"];
  entries.push_back({{"hostname", "lb.example.com"}});
  entries.push_back({{"ip", "10.0.5.5"}});
  EXPECT_TRUE(is_published_by_ingress(object, *IpAddress::parse("10.0.5.5")));
  EXPECT_FALSE(is_published_by_ingress(object, *IpAddress::parse("10.0.5.6")));
}

TEST(ParseGateway, TakesAddressesNamesAndPorts) {
  const auto gateway = parse_gateway(Json::parse(R"({
    "metadata": {"namespace": "n", "name": "g", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"listeners": [{"name": "a", "port": 443, "protocol": "TLS"}, {"name": "b", "port": 443, "protocol": "HTTPS"},
                           {"name": "c", "port": 53, "protocol": "UDP"}, {"port": "x"}, 7]},
    "status": {"addresses": [{"type": "IPAddress", "value": "10.0.5.5"}, {"value": "10.0.5.6"},
                             {"type": "Hostname", "value": "lb.example.com"}, 7]}})"));
  ASSERT_TRUE(gateway);
  EXPECT_EQ(gateway->full_name(), "Gateway n/g");
  EXPECT_NE(gateway->created, std::chrono::sys_seconds());
  ASSERT_EQ(gateway->ports.size(), 2);
  EXPECT_EQ(gateway->ports[0].port, 443);
  EXPECT_EQ(gateway->ports[0].protocol, "TCP");
  EXPECT_EQ(gateway->ports[1].protocol, "UDP");
  ASSERT_EQ(gateway->ingress.size(), 4);
  EXPECT_EQ(gateway->ingress[1].ip, "10.0.5.6");
  EXPECT_EQ(gateway->ingress[2].hostname, "lb.example.com");
  Json many = {{"metadata", {{"name", "g"}}}};
  for (int i = 1; i < 500; i++) {
    many["spec"]["listeners"].push_back({{"port", i}});
    many["status"]["addresses"].push_back({{"value", "10.0.5.5"}});
  }
  EXPECT_EQ(parse_gateway(many)->ports.size(), 64);
  EXPECT_EQ(parse_gateway(many)->ingress.size(), 16);
  for (const Json& wrong : {Json(), Json(7), Json::object(), Json{{"metadata", 7}}}) {
    EXPECT_FALSE(parse_gateway(wrong)) << wrong;
    EXPECT_FALSE(parse_target_group_binding(wrong)) << wrong;
    EXPECT_FALSE(is_published_by_ingress(wrong, *IpAddress::parse("10.0.5.5"))) << wrong;
  }
}

TEST(ParseTargetGroupBinding, ItsPortIsANumberOrAName) {
  Json object = binding("n", "b", "s", "instance");
  EXPECT_EQ(parse_target_group_binding(object)->port, "443");
  EXPECT_TRUE(parse_target_group_binding(object)->instances);
  object["spec"]["serviceRef"]["port"] = "https";
  object["spec"]["targetType"] = "ip";
  object["spec"]["targetGroupARN"] = "\x1b[31m" + std::string(1000, 'a');
  EXPECT_EQ(parse_target_group_binding(object)->port, "https");
  EXPECT_FALSE(parse_target_group_binding(object)->instances);
  EXPECT_LT(parse_target_group_binding(object)->target_group.size(), 270);
  EXPECT_FALSE(parse_target_group_binding(object)->target_group.contains('\x1b'));
  object["spec"].erase("targetGroupARN");
  object["spec"]["targetGroupName"] = "by-name";
  EXPECT_EQ(parse_target_group_binding(object)->target_group, "by-name");
  Json nowhere = object;
  nowhere["metadata"].erase("namespace");
  EXPECT_FALSE(parse_target_group_binding(nowhere));
  object["spec"]["serviceRef"]["name"] = 7;
  EXPECT_FALSE(parse_target_group_binding(object));
}

}  // namespace
}  // namespace hairpind
