// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/exposure.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attempts.hpp"

namespace hairpind {
namespace {

using testing::endpoint;
using ::testing::IsEmpty;

constexpr SinceBoot kNow = std::chrono::hours(1);

Pod pod(const std::string& name, const std::string& address) {
  Pod result;
  result.uid = name;
  result.ref = {.namespace_name = "shop", .name = name, .workload = ""};
  result.ready = true;
  result.labels = {{"app", name}};
  result.addresses = {*IpAddress::parse(address)};
  return result;
}

Service service(const std::string& name, const std::string& address, const std::string& app) {
  Service result;
  result.namespace_name = "shop";
  result.name = name;
  result.ports = {{.name = "", .protocol = "TCP", .port = 443, .node_port = 0}};
  result.ingress = {{.ip = address, .hostname = "", .ip_mode = ""}};
  result.selector = {{"app", app}};
  return result;
}

Call call(const char* client, const char* load_balancer) {
  return {.client = *IpAddress::parse(client), .load_balancer = endpoint(load_balancer, 443)};
}

TEST(FindExposures, PairsOfCallersAndLocalBackends) {
  Cluster cluster;
  cluster.apply({.pods = {pod("web", "10.0.1.10"), pod("batch", "10.0.1.11"), pod("api", "10.0.1.20")},
                 .services = {service("near", "10.0.5.5", "api"), service("far", "10.0.5.6", "elsewhere")}},
                kNow);
  const auto exposures = find_exposures(cluster,
                                        {call("10.0.1.10", "10.0.5.5"), call("10.0.1.11", "10.0.5.5"),
                                         call("10.0.1.10", "10.0.5.6"),    // no backend of it is here
                                         call("10.0.1.20", "10.0.5.5"),    // the only backend is the caller itself
                                         call("10.0.1.99", "10.0.5.5"),    // nobody known
                                         call("10.0.1.10", "10.0.5.99")},  // no Service's
                                        kNow);
  ASSERT_EQ(exposures.size(), 1);
  const Exposure& near = exposures.at("shop/near");
  EXPECT_EQ(near.pairs, 2);
  EXPECT_EQ(near.example, call("10.0.1.10", "10.0.5.5"));
  EXPECT_EQ(near.client.name, "web");
}

TEST(FindExposures, ABackendThatIsNotReadyIsSentNothing) {
  Cluster cluster;
  Pod api = pod("api", "10.0.1.20");
  api.ready = false;
  cluster.apply({.pods = {pod("web", "10.0.1.10"), api}, .services = {service("near", "10.0.5.5", "api")}}, kNow);
  EXPECT_THAT(find_exposures(cluster, {call("10.0.1.10", "10.0.5.5")}, kNow), IsEmpty());
}

}  // namespace
}  // namespace hairpind
