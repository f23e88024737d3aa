// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/target_group_binding.hpp"

#include <gtest/gtest.h>

#include "attempts.hpp"

namespace hairpind {
namespace {

using testing::endpoint;

Service backend() {
  Service service;
  service.namespace_name = "shop";
  service.name = "backend";
  service.selector = {{"app", "api"}};
  service.ports = {{.name = "http", .protocol = "TCP", .port = 80, .node_port = 30080, .target_port = 8080},
                   {.name = "https", .protocol = "TCP", .port = 443, .node_port = 30443, .target_port = 8443}};
  return service;
}

Pod pod(const std::string& app) {
  Pod result;
  result.ref = {.namespace_name = "shop", .name = "p", .workload = ""};
  result.labels = {{"app", app}};
  return result;
}

TEST(TargetGroupBinding, APodTargetIsOneOfItsServicesBackendsAtItsPort) {
  TargetGroupBinding binding;
  binding.namespace_name = "shop";
  binding.name = "tgb";
  binding.service = "backend";
  binding.port = "https";
  const LoadBalancerTarget target{.endpoint = endpoint("10.0.1.20", 8443), .pod = pod("api")};
  EXPECT_TRUE(feeds(binding, backend(), target));
  binding.port = "443";
  EXPECT_TRUE(feeds(binding, backend(), target));
  binding.port = "80";
  EXPECT_FALSE(feeds(binding, backend(), target)) << "another port's";
  binding.port = "https";
  EXPECT_FALSE(feeds(binding, backend(), {.endpoint = target.endpoint, .pod = pod("web")}));
  EXPECT_FALSE(feeds(binding, backend(), {.endpoint = target.endpoint, .pod = std::nullopt}));
  Service other = backend();
  other.name = "other";
  EXPECT_FALSE(feeds(binding, other, target));
  other = backend();
  other.namespace_name = "elsewhere";
  EXPECT_FALSE(feeds(binding, other, target)) << "another namespace's, whose pods its selector does not mean";
  EXPECT_FALSE(feeds(binding, backend(), {.endpoint = endpoint("10.0.1.20", 30443), .pod = pod("api")}))
      << "a pod is no node, whatever the port's number";
  Service by_name = backend();
  by_name.ports[1].target_port = 0;
  EXPECT_TRUE(feeds(binding, by_name, target));
}

TEST(TargetGroupBinding, ANodeTargetIsItsServicesNodePort) {
  TargetGroupBinding binding;
  binding.namespace_name = "shop";
  binding.service = "backend";
  binding.port = "443";
  binding.instances = true;
  EXPECT_TRUE(feeds(binding, backend(), {.endpoint = endpoint("10.0.0.4", 30443), .pod = std::nullopt}));
  EXPECT_FALSE(feeds(binding, backend(), {.endpoint = endpoint("10.0.0.4", 30080), .pod = std::nullopt}));
  Service elsewhere = backend();
  elsewhere.namespace_name = "elsewhere";
  EXPECT_FALSE(feeds(binding, elsewhere, {.endpoint = endpoint("10.0.0.4", 30443), .pod = std::nullopt}));
  EXPECT_FALSE(feeds(binding, backend(), {.endpoint = endpoint("10.0.0.4", 8443), .pod = std::nullopt}));
}

}  // namespace
}  // namespace hairpind
