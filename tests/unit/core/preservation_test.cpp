// SPDX-License-Identifier: Apache-2.0
#include "providers/services.hpp"

namespace hairpind::providers {
namespace {

TEST(Risk, IsSpelledAsInTheReport) {
  EXPECT_EQ(to_string(Risk::kSafe), "safe");
  EXPECT_EQ(to_string(Risk::kAtRisk), "at_risk");
  EXPECT_EQ(to_string(Risk::kUnknown), "unknown");
}

TEST(Assess, AddressThatNodesTranslateIsSafe) {
  expect({
      {"VIP", service({}, {vip}), Risk::kSafe, "address 10.0.5.5 with ipMode VIP"},
      {"no mode means VIP", service({}, {address("10.0.5.5")}), Risk::kSafe, "address 10.0.5.5 with ipMode VIP"},
      {"two families", service({}, {vip, address("fd00::5")}), Risk::kSafe, "address fd00::5 with ipMode VIP"},
      {"whatever the provider", with_class("service.k8s.aws/nlb", {}, {vip}), Risk::kSafe, "kube-proxy"},
      {"source preserved, too", service({{oci_preserve_key, "true"}}, {vip}), Risk::kSafe, "kube-proxy"},
      {"UDP, too", with_ports(service({}, {vip}), {udp(53)}), Risk::kSafe, "kube-proxy"},
      {"Proxy", service({}, {proxy}), Risk::kUnknown, "address 10.0.5.5 with ipMode Proxy"},
      {"one of two is Proxy", service({}, {vip, proxy}), Risk::kUnknown, "ipMode Proxy"},
      {"host name", service({}, {other_name}), Risk::kUnknown, "host name lb.example.net"},
      {"host name beside an address", service({}, {vip, other_name}), Risk::kUnknown, "host name lb.example.net"},
      {"host name and address in one", service({}, {{"10.0.5.5", "lb.example.net", ""}}), Risk::kUnknown,
       "host name lb.example.net"},
      {"a mode of the future", service({}, {address("10.0.5.5", "Other")}), Risk::kUnknown, "ipMode Other"},
      {"pending", service(), Risk::kUnknown, "publishes no address yet"},
      {"empty entry", service({}, {{}}), Risk::kUnknown, "neither a class nor an annotation"},
  });
  EXPECT_THAT(assess(service({}, {vip})).link, HasSubstr("1860-kube-proxy-IP-node-binding"));
}

TEST(Assess, WithoutTcpPortThereIsNothingToWatch) {
  expect({
      {"no ports", with_ports(controller(), {}), Risk::kUnknown, "has no ports"},
      {"no ports, but an address", with_ports(service({}, {vip}), {}), Risk::kUnknown, "has no ports"},
      {"AWS, UDP", with_ports(controller(), {udp(53), udp(443)}), Risk::kAtRisk, "UDP ports 53, 443 only"},
      {"AWS, UDP, turned off in vain",
       with_ports(controller({{attributes_key, "preserve_client_ip.enabled=false"}}), {udp(53)}), Risk::kAtRisk,
       "cannot turn that off"},
      {"in-tree, UDP", with_ports(in_tree(), {udp(53)}), Risk::kAtRisk, "UDP port 53 only"},
      {"NLB by name, UDP", with_ports(service({}, {nlb_name}), {udp(53)}), Risk::kAtRisk, "UDP port 53 only"},
      {"AWS, SCTP", with_ports(controller(), {sctp(9)}), Risk::kUnknown, "no TCP port"},
      {"classic", with_ports(service({}, {classic_name}), {udp(53)}), Risk::kUnknown, "no TCP port"},
      {"elsewhere", with_ports(service({{"metallb.io/address-pool", "a"}}, {proxy}), {udp(53)}), Risk::kUnknown,
       "no TCP port"},
  });
}

TEST(Assess, AServiceOfAnotherProxyIsNotTranslatedByKubeProxy) {
  const auto by_other = [](Service said) {
    said.proxy_name = "multus-proxy";
    return said;
  };
  expect({
      {"address", by_other(service({}, {vip})), Risk::kUnknown, "service-proxy-name: \"multus-proxy\""},
      {"keeps addresses", by_other(with_class("service.k8s.aws/nlb", {}, {vip})), Risk::kAtRisk, "instance targets"},
      {"a full proxy is one whoever translates",
       by_other(service({{"load-balancer.hetzner.cloud/location", "nbg1"}}, {vip})), Risk::kSafe, "full proxy"},
  });
}

TEST(HintFor, NamesTheServiceTheChangeAndItsCost) {
  EXPECT_EQ(hint_for(controller({{attributes_key, "stickiness.enabled=true"}})),
            "Service shop/web: TCP port 443: instance targets keep the client's address by default, and no annotation "
            "turns it off. Remedy: service.beta.kubernetes.io/aws-load-balancer-target-group-attributes: "
            "stickiness.enabled=true,preserve_client_ip.enabled=false (the target then sees the load balancer's "
            "address; proxy protocol v2 (service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: \"*\") keeps the "
            "client's if the target speaks it, but with instance targets and externalTrafficPolicy Local it breaks "
            "HTTP health checks; the targets' security group must admit the load balancer's subnets). Or let clients "
            "inside the cluster use the ClusterIP Service (web.shop.svc) instead of the load balancer, or keep client "
            "and target on different nodes. See https://docs.aws.amazon.com/elasticloadbalancing/latest/network/"
            "edit-target-group-attributes.html#client-ip-preservation");
}

TEST(HintFor, UnknownProviderGetsTheGeneralAdvice) {
  const std::string hint = hint_for(service({}, {other_name}));
  EXPECT_THAT(hint, HasSubstr("turn off client IP preservation on the load balancer's target group"));
  EXPECT_THAT(hint, HasSubstr(attributes_key + ": preserve_client_ip.enabled=false"));
  EXPECT_THAT(hint, EndsWith("See https://docs.aws.amazon.com/elasticloadbalancing/latest/network/"
                             "load-balancer-troubleshooting.html"));
}

TEST(HintFor, AlternativeIsNotSaidTwice) {
  const std::string hint = hint_for(service({{azure_internal_key, "true"}}, {proxy}));
  EXPECT_THAT(hint, HasSubstr(". Remedy: let clients inside the cluster"));
  EXPECT_THAT(hint, Not(HasSubstr(". Or ")));
}

TEST(HintFor, AlertAboutASafeServiceSaysWhereElseToLook) {
  EXPECT_THAT(hint_for(service({{"metallb.io/address-pool", "a"}}, {vip})),
              HasSubstr("a translation that the node missed"));
  EXPECT_THAT(hint_for(service({}, {classic_name})), HasSubstr("a load balancer that this manifest does not describe"));
  EXPECT_THAT(hint_for(controller({{target_type_key, "ip"}})),
              HasSubstr("check that the target group really has preserve_client_ip.enabled=false, and pin it with " +
                        attributes_key + ": preserve_client_ip.enabled=false ("));
  EXPECT_THAT(hint_for(in_tree({{attributes_key, "preserve_client_ip.enabled=false"}})),
              HasSubstr("with an older one switch to the AWS Load Balancer Controller"));
}

}  // namespace
}  // namespace hairpind::providers
