// SPDX-License-Identifier: Apache-2.0
// What a large cluster, and a hostile one, takes of the agent's memory.
#include <gtest/gtest.h>
#include <malloc.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "../sanitized.hpp"
#include "hairpind/core/cluster.hpp"
#include "hairpind/kube/objects.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;

std::size_t allocated() {
  return mallinfo2().uordblks;
}

Json load_balancer(int number, const Json& annotations) {
  const std::string name = "service-with-a-name-" + std::to_string(number);
  return {
      {"metadata", {{"namespace", "team-seventeen"}, {"name", name}, {"annotations", annotations}}},
      {"spec",
       {{"type", "LoadBalancer"},
        {"loadBalancerClass", "service.k8s.aws/nlb"},
        {"selector", {{"app.kubernetes.io/name", name}}},
        {"ports", Json::array({{{"name", "https"}, {"port", 443}, {"nodePort", 30000 + number % 2768}},
                               {{"name", "http"}, {"port", 80}, {"nodePort", 30000 + (number + 1) % 2768}}})}}},
      {"status",
       {{"loadBalancer",
         {{"ingress", Json::array({{{"ip", "10." + std::to_string(number / 65536) + "." +
                                               std::to_string(number / 256 % 256) + "." + std::to_string(number % 256)},
                                    {"ipMode", "Proxy"}}})}}}}}};
}

/// Of the cluster with so many Services, each with these annotations.
std::size_t bytes_of(int services, const Json& annotations) {
  const auto cluster = std::make_unique<Cluster>();
  const std::size_t before = allocated();
  for (int i = 0; i < services; i++) {
    Service service = *parse_service(load_balancer(i, annotations));
    keep_what_is_judged(service);
    cluster->apply({.services = {std::move(service)}}, {});
    EXPECT_FALSE(cluster->take_watch_changes().added.empty());
  }
  return allocated() - before;
}

class ClusterMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::kSanitized) {
      GTEST_SKIP() << "sanitizers have a heap of their own";
    }
  }
};

TEST_F(ClusterMemory, TenThousandLoadBalancersWithTextOfTheirOwn) {
  Json annotations = {{"service.beta.kubernetes.io/aws-load-balancer-scheme", "internal"}};
  for (int i = 0; i < 8; i++) {
    annotations["example.com/annotation-" + std::to_string(i)] = std::string(220, 'x');
  }
  EXPECT_LT(bytes_of(10000, annotations), 18U << 20U);
  EXPECT_LT(bytes_of(200, annotations), 400U << 10U);
}

TEST_F(ClusterMemory, AHostileTenantsAnnotationsAreCut) {
  Json annotations;
  for (int i = 0; i < 500; i++) {
    annotations["service.beta.kubernetes.io/a" + std::to_string(i)] = std::string(500, 'x');
  }
  EXPECT_LT(bytes_of(80, annotations), 1U << 20U);
}

}  // namespace
}  // namespace hairpind
