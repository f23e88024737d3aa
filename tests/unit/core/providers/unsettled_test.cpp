// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

TEST(AssessUnsettled, NamesTheCloudAndSendsNobodyToAws) {
  const std::vector<std::pair<std::string, std::string>> clouds = {
      {"service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type", "Alibaba Cloud"},
      {"loadbalancer.openstack.org/keep-floatingip", "OpenStack Octavia"},
      {"service.beta.kubernetes.io/upcloud-load-balancer-config", "UpCloud"},
  };
  for (const auto& [key, name] : clouds) {
    const Service said = service({{key, "x"}}, {proxy});
    EXPECT_EQ(assess(said).risk, Risk::kUnknown) << name;
    EXPECT_THAT(assess(said).reason, HasSubstr("the load balancer of " + name + " keeps"));
    EXPECT_THAT(hint_for(said), AllOf(Not(HasSubstr("AWS")), Not(HasSubstr("amazon")), HasSubstr("ClusterIP")));
    EXPECT_EQ(assess(service({{key, "x"}}, {vip})).risk, Risk::kSafe);
  }
}

TEST(AssessOpenStack, ProxyProtocolNeedsAProxy) {
  const std::string key = "loadbalancer.openstack.org/proxy-protocol";
  expect({
      {"on", service({{key, "true"}}, {proxy}), Risk::kSafe, "amphora"},
      {"version 2", service({{key, "v2"}}, {proxy}), Risk::kSafe, "amphora"},
      {"off", service({{key, "false"}}, {proxy}), Risk::kUnknown, "does not say whether"},
  });
}

}  // namespace
}  // namespace hairpind::providers
