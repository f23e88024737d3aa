// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

TEST(Assess, WhoseLoadBalancerItIs) {
  const std::string by_controller = "TCP port 443: instance targets keep the client's address by default";
  const std::string by_in_tree = "TCP port 443: instance targets keep";
  const std::string by_nlb_name = "an NLB's, but nothing says which controller made it";
  expect({
      {"class", controller(), Risk::kAtRisk, by_controller},
      {"class before the NLB is there", with_class("service.k8s.aws/nlb"), Risk::kAtRisk, by_controller},
      {"class beats type", controller({{type_key, "nlb"}}), Risk::kAtRisk, by_controller},
      {"type external", service({{type_key, "external"}}), Risk::kAtRisk, by_controller},
      {"type nlb-ip", service({{type_key, "nlb-ip"}}), Risk::kSafe, "ip targets"},
      {"type nlb", in_tree(), Risk::kAtRisk, by_in_tree},
      {"type nlb with another's class", with_class("example.com/lb", {{type_key, "nlb"}}), Risk::kUnknown,
       "loadBalancerClass \"example.com/lb\" is not known, and " + type_key + ": \"nlb\" does not count"},
      {"another's class", with_class("example.com/lb", {}, {other_name}), Risk::kUnknown,
       "loadBalancerClass \"example.com/lb\" is not known"},
      {"another's class, NLB", with_class("example.com/lb", {}, {nlb_name}), Risk::kUnknown,
       "loadBalancerClass \"example.com/lb\" is not known"},
      {"unknown type", service({{type_key, "gwlb"}}), Risk::kUnknown, type_key + ": \"gwlb\" is not a known type"},
      {"NLB by name", service({}, {nlb_name}), Risk::kUnknown, by_nlb_name},
      {"NLB in China", service({}, {host("a-1.elb.cn-north-1.amazonaws.com.cn")}), Risk::kUnknown, by_nlb_name},
      {"NLB by name, beside a stray annotation", service({{"io.cilium/global-service", "true"}}, {nlb_name}),
       Risk::kUnknown, by_nlb_name},
      {"classic by name", service({}, {classic_name}), Risk::kSafe, "a classic load balancer's"},
      {"classic in China", service({}, {host("a-1.cn-north-1.elb.amazonaws.com.cn")}), Risk::kSafe,
       "a classic load balancer's"},
      {"AWS, but no load balancer's name", service({}, {host("ec2-1.eu-west-1.compute.amazonaws.com")}), Risk::kUnknown,
       "neither a class nor an annotation"},
      {"domain only in the middle", service({}, {host("a.elb.eu-west-1.amazonaws.com.example.net")}), Risk::kUnknown,
       "neither a class nor an annotation"},
      {"too short", service({}, {host("elb.amazonaws.com")}), Risk::kUnknown, "neither a class nor an annotation"},
  });
}

TEST(Assess, LinksToTheProvidersPage) {
  const std::vector<std::pair<Service, std::string>> cases = {
      {controller(), "edit-target-group-attributes.html#client-ip-preservation"},
      {controller({{attributes_key, "x"}}), "aws-load-balancer-controller/latest/guide/service/annotations/"},
      {in_tree(), "cloud-provider-aws/pull/1214"},
      {service({}, {nlb_name}), "load-balancer-troubleshooting.html"},
      {service({{azure_internal_key, "true"}}, {proxy}), "load-balancer-troubleshoot-backend-traffic"},
      {with_class("networking.gke.io/l4-regional-internal"), "https://cloud.google.com/load-balancing/docs/internal"},
      {service({{oci_preserve_key, "true"}}), "NetworkLoadBalancer/home.htm"},
      {service({{"metallb.io/address-pool", "a"}}), "https://metallb.io/"},
  };
  for (const auto& [linked, link] : cases) {
    EXPECT_THAT(assess(linked).link, HasSubstr(link));
    EXPECT_THAT(hint_for(linked), EndsWith(assess(linked).link));
  }
  EXPECT_THAT(assess(service()).link, IsEmpty());
}

}  // namespace
}  // namespace hairpind::providers
