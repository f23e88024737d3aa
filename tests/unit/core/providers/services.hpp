// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "hairpind/core/preservation.hpp"

// What the tests of the providers share: Services as manifests have them, and what is expected of each.
namespace hairpind::providers {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using Annotations = std::map<std::string, std::string>;

inline const std::string aws_prefix = "service.beta.kubernetes.io/aws-load-balancer-";
inline const std::string attributes_key = aws_prefix + "target-group-attributes";
inline const std::string type_key = aws_prefix + "type";
inline const std::string target_type_key = aws_prefix + "nlb-target-type";
inline const std::string tcp_udp_key = aws_prefix + "enable-tcp-udp-listener";
inline const std::string proxy_protocol_key = aws_prefix + "proxy-protocol";
inline const std::string scheme_key = aws_prefix + "scheme";
inline const std::string internal_key = aws_prefix + "internal";
inline const std::string azure_internal_key = "service.beta.kubernetes.io/azure-load-balancer-internal";
inline const std::string oci_preserve_key = "oci-network-load-balancer.oraclecloud.com/is-preserve-source";

inline ServiceIngress address(std::string ip, std::string mode = "") {
  return {std::move(ip), "", std::move(mode)};
}
inline ServiceIngress host(std::string name) {
  return {"", std::move(name), ""};
}

inline const ServiceIngress nlb_name = host("k8s-shop-web-0123.elb.eu-west-1.amazonaws.com");
inline const ServiceIngress classic_name = host("a0123-77.eu-west-1.elb.amazonaws.com");
inline const ServiceIngress other_name = host("lb.example.net");
inline const ServiceIngress vip = address("10.0.5.5", "VIP");
inline const ServiceIngress proxy = address("10.0.5.5", "Proxy");

inline ServicePort tcp(std::uint16_t port) {
  return {"", "TCP", port, 0};
}
inline ServicePort udp(std::uint16_t port) {
  return {"", "UDP", port, 0};
}
inline ServicePort sctp(std::uint16_t port) {
  return {"", "SCTP", port, 0};
}

/// A Service with one TCP port and nothing else said.
inline Service service(Annotations annotations = {}, std::vector<ServiceIngress> ingress = {}) {
  Service said;
  said.namespace_name = "shop";
  said.name = "web";
  said.type = "LoadBalancer";
  said.annotations = std::move(annotations);
  said.ports = {tcp(443)};
  said.ingress = std::move(ingress);
  return said;
}

inline Service with_class(std::string load_balancer_class, Annotations annotations = {},
                          std::vector<ServiceIngress> ingress = {}) {
  Service classed = service(std::move(annotations), std::move(ingress));
  classed.load_balancer_class = std::move(load_balancer_class);
  return classed;
}

/// Of the AWS Load Balancer Controller, as its status looks once the NLB is there.
inline Service controller(Annotations annotations = {}) {
  return with_class("service.k8s.aws/nlb", std::move(annotations), {nlb_name});
}

inline Service in_tree(Annotations annotations = {}) {
  annotations[type_key] = "nlb";
  return service(std::move(annotations), {nlb_name});
}

inline Service with_ports(Service base, std::vector<ServicePort> ports) {
  base.ports = std::move(ports);
  return base;
}

struct Case {
  std::string what;
  Service service;
  Risk risk;
  std::string reason;  ///< a part of it
};

inline void expect(const std::vector<Case>& cases) {
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

}  // namespace hairpind::providers
