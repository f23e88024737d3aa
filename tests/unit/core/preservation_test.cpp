// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/preservation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hairpind {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using Annotations = std::map<std::string, std::string>;

const std::string aws_prefix = "service.beta.kubernetes.io/aws-load-balancer-";
const std::string attributes_key = aws_prefix + "target-group-attributes";
const std::string type_key = aws_prefix + "type";
const std::string target_type_key = aws_prefix + "nlb-target-type";
const std::string tcp_udp_key = aws_prefix + "enable-tcp-udp-listener";
const std::string proxy_protocol_key = aws_prefix + "proxy-protocol";
const std::string azure_internal_key = "service.beta.kubernetes.io/azure-load-balancer-internal";
const std::string oci_preserve_key = "oci-network-load-balancer.oraclecloud.com/is-preserve-source";

ServiceIngress address(std::string ip, std::string mode = "") {
  return {std::move(ip), "", std::move(mode)};
}
ServiceIngress host(std::string name) {
  return {"", std::move(name), ""};
}

const ServiceIngress nlb_name = host("k8s-shop-web-0123.elb.eu-west-1.amazonaws.com");
const ServiceIngress classic_name = host("a0123-77.eu-west-1.elb.amazonaws.com");
const ServiceIngress other_name = host("lb.example.net");
const ServiceIngress vip = address("10.0.5.5", "VIP");
const ServiceIngress proxy = address("10.0.5.5", "Proxy");

ServicePort tcp(std::uint16_t port) {
  return {"", "TCP", port, 0};
}
ServicePort udp(std::uint16_t port) {
  return {"", "UDP", port, 0};
}
ServicePort sctp(std::uint16_t port) {
  return {"", "SCTP", port, 0};
}

/// A Service with one TCP port and nothing else said.
Service service(Annotations annotations = {}, std::vector<ServiceIngress> ingress = {}) {
  Service said;
  said.namespace_name = "shop";
  said.name = "web";
  said.type = "LoadBalancer";
  said.annotations = std::move(annotations);
  said.ports = {tcp(443)};
  said.ingress = std::move(ingress);
  return said;
}

Service with_class(std::string load_balancer_class, Annotations annotations = {},
                   std::vector<ServiceIngress> ingress = {}) {
  Service classed = service(std::move(annotations), std::move(ingress));
  classed.load_balancer_class = std::move(load_balancer_class);
  return classed;
}

/// Of the AWS Load Balancer Controller, as its status looks once the NLB is there.
Service controller(Annotations annotations = {}) {
  return with_class("service.k8s.aws/nlb", std::move(annotations), {nlb_name});
}

Service in_tree(Annotations annotations = {}) {
  annotations[type_key] = "nlb";
  return service(std::move(annotations), {nlb_name});
}

Service with_ports(Service base, std::vector<ServicePort> ports) {
  base.ports = std::move(ports);
  return base;
}

struct Case {
  std::string what;
  Service service;
  Risk risk;
  std::string reason;  ///< a part of it
};

void expect(const std::vector<Case>& cases) {
  for (const Case& wanted : cases) {
    SCOPED_TRACE(wanted.what);
    const Assessment assessment = assess(wanted.service);
    EXPECT_EQ(to_string(assessment.risk), to_string(wanted.risk)) << assessment.reason;
    EXPECT_THAT(assessment.reason, HasSubstr(wanted.reason));
    EXPECT_EQ(assessment.fix.empty(), wanted.risk == Risk::kSafe) << assessment.fix;
    EXPECT_THAT(hint_for(wanted.service), AllOf(StartsWith("Service shop/web: "), HasSubstr(wanted.reason),
                                                HasSubstr("use the ClusterIP Service (web.shop.svc)"),
                                                HasSubstr(". See https://"), Not(HasSubstr("\n"))));
  }
}

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

TEST(AssessAwsController, TargetTypeAndAttributesDecide) {
  const std::string on = "preserve_client_ip.enabled=true";
  const std::string off = "preserve_client_ip.enabled=false";
  const std::string broken = " is not a list of attribute=value with preserve_client_ip.enabled true or false";
  expect({
      {"instance", controller({{target_type_key, "instance"}}), Risk::kAtRisk, "instance targets"},
      {"ip", controller({{target_type_key, "ip"}}), Risk::kSafe, "ip targets do not keep"},
      {"neither is taken for instance", controller({{target_type_key, "alb"}}), Risk::kAtRisk, "instance targets"},
      {"neither, but off", controller({{target_type_key, "alb"}, {attributes_key, off}}), Risk::kSafe, attributes_key},
      {"off", controller({{attributes_key, off}}), Risk::kSafe, attributes_key + " has " + off},
      {"on", controller({{attributes_key, on}}), Risk::kAtRisk, attributes_key + " has " + on},
      {"ip, on", controller({{target_type_key, "ip"}, {attributes_key, on}}), Risk::kAtRisk,
       attributes_key + " has " + on},
      {"among others, with blanks",
       controller({{attributes_key, " stickiness.enabled=true , preserve_client_ip.enabled = false "}}), Risk::kSafe,
       off},
      {"others only", controller({{attributes_key, "stickiness.enabled=true"}}), Risk::kAtRisk,
       "no annotation turns it off"},
      {"empty", controller({{attributes_key, " "}}), Risk::kAtRisk, "no annotation turns it off"},
      {"the last of two counts", controller({{attributes_key, on + "," + off}}), Risk::kSafe, off},
      {"proxy protocol alone", controller({{proxy_protocol_key, "*"}}), Risk::kAtRisk, "instance targets"},
      {"neither true nor false", controller({{attributes_key, "preserve_client_ip.enabled=no"}}), Risk::kUnknown,
       attributes_key + ": \"preserve_client_ip.enabled=no\"" + broken},
      {"no value", controller({{attributes_key, "preserve_client_ip.enabled="}}), Risk::kUnknown, broken},
      {"Go's true", controller({{target_type_key, "ip"}, {attributes_key, "preserve_client_ip.enabled=True"}}),
       Risk::kAtRisk, on},
      {"Go's other true", controller({{target_type_key, "ip"}, {attributes_key, "preserve_client_ip.enabled=1"}}),
       Risk::kAtRisk, on},
      {"Go's false, which AWS may not know", controller({{attributes_key, "preserve_client_ip.enabled=False"}}),
       Risk::kUnknown, broken},
      {"no =", controller({{attributes_key, off + ",stickiness"}}), Risk::kUnknown,
       attributes_key + ": \"" + off + ",stickiness\"" + broken},
      {"no name", controller({{attributes_key, "=1," + off}}), Risk::kUnknown, broken},
      {"comma at the end", controller({{attributes_key, off + ","}}), Risk::kUnknown, broken},
  });
}

TEST(AssessAwsController, PortsHaveTheirOwnAnnotation) {
  const std::string on = "preserve_client_ip.enabled=true";
  const std::string off = "preserve_client_ip.enabled=false";
  const auto two = [](Annotations annotations) {
    return with_ports(controller(std::move(annotations)), {tcp(80), tcp(443)});
  };
  expect({
      {"both by default", two({}), Risk::kAtRisk, "TCP ports 80, 443: instance targets"},
      {"one turned off", two({{attributes_key + ".443", off}}), Risk::kAtRisk, "TCP port 80: instance targets"},
      {"both turned off", two({{attributes_key + ".443", off}, {attributes_key + ".80", off}}), Risk::kSafe,
       "TCP port 80: " + attributes_key + ".80 has " + off + "; TCP port 443: " + attributes_key + ".443 has " + off},
      {"one turned on again", two({{attributes_key, off}, {attributes_key + ".80", on}}), Risk::kAtRisk,
       "TCP port 80: " + attributes_key + ".80 has " + on},
      {"its own says nothing", two({{attributes_key, off}, {attributes_key + ".80", "stickiness.enabled=true"}}),
       Risk::kSafe, "TCP ports 80, 443: " + attributes_key + " has"},
      {"its own is broken", two({{attributes_key, off}, {attributes_key + ".80", "x"}}), Risk::kUnknown,
       "TCP port 80: " + attributes_key + ".80: \"x\""},
      {"the general one is broken", two({{attributes_key, "x"}, {attributes_key + ".80", off}}), Risk::kUnknown,
       "TCP ports 80, 443: " + attributes_key + ": \"x\""},
      {"one at risk outweighs one broken", two({{attributes_key + ".443", "x"}}), Risk::kAtRisk,
       "TCP port 80: instance"},
      {"another port's", two({{attributes_key, off}, {attributes_key + ".8080", on}}), Risk::kSafe,
       "TCP ports 80, 443"},
  });
}

TEST(AssessAwsController, UdpKeepsTheClientsAddress) {
  const Annotations ip{{target_type_key, "ip"}};
  const Annotations shared{
      {target_type_key, "ip"}, {tcp_udp_key, "true"}, {attributes_key, "preserve_client_ip.enabled=false"}};
  expect({
      {"on a port of its own", with_ports(controller(ip), {tcp(443), udp(53)}), Risk::kSafe,
       "UDP port 53 keeps the client's address too, which cannot be turned off"},
      {"on the same number", with_ports(controller(ip), {tcp(443), udp(443)}), Risk::kSafe, "UDP port 443 keeps"},
      {"in one listener", with_ports(controller(shared), {tcp(443), udp(443)}), Risk::kAtRisk,
       "TCP port 443: " + tcp_udp_key + ": \"true\" gives it one TCP_UDP listener"},
      {"in one listener, beside TCP", with_ports(controller(shared), {tcp(80), tcp(443), udp(443)}), Risk::kAtRisk,
       "TCP port 443: "},
      {"wished for, but other numbers", with_ports(controller(shared), {tcp(443), udp(53)}), Risk::kSafe, "has"},
  });
  EXPECT_EQ(assess(with_ports(controller(shared), {tcp(443), udp(443)})).fix,
            "give UDP port 443 a Service of its own, so that TCP port 443 gets a TCP listener");
}

TEST(AssessAwsController, FixIsTheLineToAddAndWhatItCosts) {
  const std::string off = "preserve_client_ip.enabled=false";
  const std::string fix = assess(controller()).fix;
  EXPECT_THAT(fix, StartsWith(attributes_key + ": " + off + " ("));
  EXPECT_THAT(fix, HasSubstr("the target then sees the load balancer's address"));
  EXPECT_THAT(fix, HasSubstr("proxy protocol v2 (" + proxy_protocol_key + ": \"*\") keeps the client's"));
  EXPECT_THAT(fix, HasSubstr("externalTrafficPolicy Local it breaks HTTP health checks"));
  EXPECT_THAT(fix, HasSubstr("security group must admit the load balancer's subnets"));

  const auto fix_of = [](Annotations annotations) {
    return assess(with_ports(controller(std::move(annotations)), {tcp(80), tcp(443)})).fix;
  };
  EXPECT_THAT(fix_of({{attributes_key, "stickiness.enabled=true, preserve_client_ip.enabled=true,a=b=c"}}),
              StartsWith(attributes_key + ": stickiness.enabled=true,a=b=c," + off + " ("));
  EXPECT_THAT(fix_of({{attributes_key, "stickiness.enabled=true,stray"}}),
              StartsWith(attributes_key + ": stickiness.enabled=true," + off + " ("));
  EXPECT_THAT(fix_of({{attributes_key + ".80", "preserve_client_ip.enabled=true"}}),
              StartsWith(attributes_key + ".80: " + off + " and " + attributes_key + ": " + off + " ("));
  EXPECT_THAT(fix_of({{attributes_key, off}, {attributes_key + ".80", "preserve_client_ip.enabled=true,a=b"}}),
              StartsWith(attributes_key + ".80: a=b," + off + " ("));
  for (const Annotations& on :
       {Annotations{{proxy_protocol_key, "*"}}, Annotations{{attributes_key, "proxy_protocol_v2.enabled=true"}}}) {
    EXPECT_THAT(fix_of(on), HasSubstr("proxy protocol v2, which is on here, still carries the client's"));
  }
  EXPECT_THAT(fix_of({{target_type_key, "ip"}, {attributes_key, "preserve_client_ip.enabled=true"}}),
              Not(HasSubstr("health checks")));
}

TEST(AssessAwsAutoMode, IpTargetsAreItsDefault) {
  const auto auto_mode = [](Annotations annotations) {
    return with_class("eks.amazonaws.com/nlb", std::move(annotations), {nlb_name});
  };
  const std::string off = "preserve_client_ip.enabled=false";
  expect({
      {"default", auto_mode({}), Risk::kSafe, "ip targets, the default here, do not keep"},
      {"the type annotation is the other controller's", auto_mode({{type_key, "nlb"}}), Risk::kSafe, "ip targets"},
      {"ip", auto_mode({{target_type_key, "ip"}}), Risk::kSafe, "ip targets do not keep"},
      {"instance", auto_mode({{target_type_key, "instance"}}), Risk::kAtRisk, "TCP port 443: instance targets"},
      {"neither", auto_mode({{target_type_key, "alb"}}), Risk::kUnknown, target_type_key + ": \"alb\" is neither"},
      {"instance, off", auto_mode({{target_type_key, "instance"}, {attributes_key, off}}), Risk::kSafe, off},
      {"on", auto_mode({{attributes_key, "preserve_client_ip.enabled=true"}}), Risk::kAtRisk, "enabled=true"},
      {"broken", auto_mode({{attributes_key, "x"}}), Risk::kUnknown, attributes_key + ": \"x\""},
      {"UDP", with_ports(auto_mode({}), {udp(53)}), Risk::kAtRisk, "UDP port 53 only"},
  });
  const Assessment assessment = assess(auto_mode({{target_type_key, "instance"}, {proxy_protocol_key, "*"}}));
  EXPECT_THAT(assessment.fix, StartsWith(attributes_key + ": " + off + " ("));
  EXPECT_THAT(assessment.fix, HasSubstr("(attribute proxy_protocol_v2.enabled=true) keeps the client's"))
      << "Auto Mode does not know the proxy protocol annotation";
  EXPECT_THAT(assessment.link, HasSubstr("auto-configure-nlb"));
}

TEST(AssessAwsInTree, OnlyRecentReleasesTurnItOff) {
  const std::string off = "preserve_client_ip.enabled=false";
  expect({
      {"default", in_tree(), Risk::kAtRisk, "no annotation turns it off"},
      {"on", in_tree({{attributes_key, "preserve_client_ip.enabled=true"}}), Risk::kAtRisk, "enabled=true"},
      {"off", in_tree({{attributes_key, off}}), Risk::kSafe, "1.31-1.34 releases of December 2025"},
      {"broken", in_tree({{attributes_key, "preserve_client_ip.enabled=0"}}), Risk::kUnknown,
       attributes_key + ": \"preserve_client_ip.enabled=0\" is not"},
      {"the target type is the other controller's", in_tree({{target_type_key, "ip"}}), Risk::kAtRisk,
       "instance targets"},
      {"a port's own annotation is the other controller's", in_tree({{attributes_key + ".443", off}}), Risk::kAtRisk,
       "no annotation turns it off"},
      {"refused attribute", in_tree({{attributes_key, off + ",stickiness.enabled=true"}}), Risk::kUnknown,
       "refuses the attribute stickiness.enabled"},
      {"refused with UDP", with_ports(in_tree({{attributes_key, off}}), {tcp(443), udp(53)}), Risk::kUnknown,
       "refuses to turn preservation off for a Service with a UDP port"},
      {"several ports", with_ports(in_tree(), {tcp(80), tcp(443)}), Risk::kAtRisk, "TCP ports 80, 443: "},
  });
  const Assessment assessment =
      assess(in_tree({{attributes_key, "proxy_protocol_v2.enabled=false,stickiness.enabled=true"}}));
  EXPECT_THAT(assessment.fix, StartsWith(attributes_key + ": proxy_protocol_v2.enabled=false," + off + " ("));
  EXPECT_THAT(assessment.fix,
              HasSubstr("switch to the AWS Load Balancer Controller, or set the attribute on the target"));
  EXPECT_THAT(assessment.fix, HasSubstr("(attribute proxy_protocol_v2.enabled=true) keeps the client's"));
  EXPECT_EQ(assessment.link, "https://github.com/kubernetes/cloud-provider-aws/pull/1214");
  EXPECT_THAT(assess(in_tree({{proxy_protocol_key, "*"}})).fix, Not(HasSubstr("which is on here")));
  EXPECT_THAT(assess(with_ports(in_tree(), {tcp(443), udp(53)})).fix, StartsWith("give the UDP ports a Service"));
}

TEST(Assess, OtherProviders) {
  const Annotations oci_nlb{{"oci.oraclecloud.com/load-balancer-type", "nlb"}};
  const auto oci_with = [&](const std::string& preserve) {
    Annotations annotations = oci_nlb;
    annotations[oci_preserve_key] = preserve;
    return annotations;
  };
  const auto local = [](Annotations annotations) {
    Service said = service(std::move(annotations), {proxy});
    said.external_traffic_policy = "Local";
    return said;
  };
  expect({
      {"Azure internal", service({{azure_internal_key, "true"}}, {proxy}), Risk::kAtRisk,
       "maps back to the client's own"},
      {"Azure internal, address", service({{azure_internal_key, "true"}}, {vip}), Risk::kSafe, "kube-proxy"},
      {"Azure internal, pending", service({{azure_internal_key, "true"}}), Risk::kUnknown, "unless the status gets"},
      {"Azure public", service({{azure_internal_key, "false"}}, {proxy}), Risk::kUnknown, "this Azure load balancer"},
      {"Azure by another key", service({{"service.beta.kubernetes.io/azure-load-balancer-ipv4", "10.0.5.5"}}, {proxy}),
       Risk::kUnknown, "this Azure load balancer"},
      {"GCP internal", service({{"networking.gke.io/load-balancer-type", "Internal"}}), Risk::kSafe, "forwarding rule"},
      {"GCP internal, old", service({{"cloud.google.com/load-balancer-type", "Internal"}}, {proxy}), Risk::kSafe,
       "forwarding rule"},
      {"GCP class", with_class("networking.gke.io/l4-regional-internal"), Risk::kSafe, "forwarding rule"},
      {"GCP external", service({{"networking.gke.io/load-balancer-type", "External"}}), Risk::kUnknown, "\"External\""},
      {"GCP external class", with_class("networking.gke.io/l4-regional-external"), Risk::kUnknown,
       "l4-regional-external"},
      {"OCI", local(oci_nlb), Risk::kAtRisk, "is not set, and the default"},
      {"OCI, preserved", local(oci_with("true")), Risk::kAtRisk, oci_preserve_key + ": \"true\""},
      {"OCI, not preserved", local(oci_with("false")), Risk::kSafe, oci_preserve_key + ": \"false\""},
      {"OCI, broken", local(oci_with("yes")), Risk::kUnknown, oci_preserve_key + ": \"yes\" is neither"},
      {"OCI, policy Cluster", service(oci_nlb, {proxy}), Risk::kSafe, "externalTrafficPolicy Cluster"},
      {"OCI, policy Cluster, preserved in vain", service(oci_with("true"), {proxy}), Risk::kSafe, "does not keep"},
      {"OCI, not said to be a network load balancer", local({{oci_preserve_key, "true"}}), Risk::kUnknown,
       "is not a network load balancer's"},
      {"OCI, full proxy", service({{"oci.oraclecloud.com/load-balancer-type", "lb"}}, {proxy}), Risk::kUnknown,
       "neither a class nor an annotation"},
      {"MetalLB", service({{"metallb.io/address-pool", "a"}}, {proxy}), Risk::kUnknown, "MetalLB gives"},
      {"MetalLB, old", service({{"metallb.universe.tf/allow-shared-ip", "a"}}), Risk::kUnknown, "MetalLB gives"},
      {"MetalLB, address", service({{"metallb.io/address-pool", "a"}}, {vip}), Risk::kSafe, "kube-proxy"},
      {"Cilium", service({{"lbipam.cilium.io/ips", "10.0.5.5"}}), Risk::kUnknown, "Cilium gives"},
      {"Cilium, old", service({{"io.cilium/lb-ipam-ips", "10.0.5.5"}}), Risk::kUnknown, "Cilium gives"},
      {"Cilium class", with_class("io.cilium/l2-announcer"), Risk::kUnknown, "Cilium gives"},
      {"kube-vip", service({{"kube-vip.io/loadbalancerIPs", "10.0.5.5"}}), Risk::kUnknown, "kube-vip gives"},
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
}  // namespace hairpind
