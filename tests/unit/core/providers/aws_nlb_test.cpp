// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

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
      {"off, but nothing says which release runs", in_tree({{attributes_key, off}}), Risk::kUnknown,
       "1.31-1.34 releases of December 2025 and later (kubernetes/cloud-provider-aws pull request 1214), and a "
       "manifest"},
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

TEST(AssessAwsInTree, TheNodesVersionTellsWhetherItIsTurnedOff) {
  const Service off = in_tree({{attributes_key, "preserve_client_ip.enabled=false"}});
  const auto with_nodes = [&](unsigned minor) {
    return assess(off, {.newest_node = KubernetesVersion{.major = 1, .minor = minor}});
  };
  for (const unsigned minor : {20U, 27U, 30U}) {
    EXPECT_EQ(with_nodes(minor).risk, Risk::kAtRisk) << minor;
    EXPECT_THAT(with_nodes(minor).reason, HasSubstr("nothing turns it off"));
    EXPECT_THAT(with_nodes(minor).fix, HasSubstr("switch to the AWS Load Balancer Controller"));
  }
  for (const unsigned minor : {31U, 34U}) {
    EXPECT_EQ(with_nodes(minor).risk, Risk::kUnknown) << minor;
    EXPECT_THAT(with_nodes(minor).reason, HasSubstr("runs Kubernetes 1." + std::to_string(minor)));
  }
  EXPECT_EQ(with_nodes(35).risk, Risk::kSafe);
  EXPECT_EQ(with_nodes(35).fix, "");
  // Without the annotation no release turns it off.
  EXPECT_EQ(assess(in_tree(), {.newest_node = KubernetesVersion{.major = 1, .minor = 35}}).risk, Risk::kAtRisk);
}

TEST(AssessAws, InternetFacingSaysWhoIsAffected) {
  const std::string note = "internet-facing: affected are clients on nodes with a public address";
  expect({
      {"controller", controller({{scheme_key, "internet-facing"}}), Risk::kAtRisk, note},
      {"in-tree, whose default it is", in_tree(), Risk::kAtRisk, note},
      {"in-tree, said not to be internal", in_tree({{internal_key, "false"}}), Risk::kAtRisk, note},
  });
  for (const Service& inside : {controller(), controller({{scheme_key, "internal"}}), in_tree({{internal_key, "true"}}),
                                controller({{scheme_key, "internet-facing"}, {target_type_key, "ip"}})}) {
    EXPECT_THAT(assess(inside).reason, Not(HasSubstr("internet-facing")));
  }
}

TEST(AssessAwsController, TextOfTenantsIsPrintableAndCut) {
  const std::string hostile = "a\x1b[2J\nb=" + std::string(100000, 'x');
  const Service long_list = controller({{attributes_key, hostile}});
  EXPECT_LT(assess(long_list).fix.size(), 4000U);
  EXPECT_THAT(assess(long_list).fix, HasSubstr("...,preserve_client_ip.enabled=false ("));
  EXPECT_LT(hint_for(long_list).size(), 8000U);
  const Service broken = controller({{attributes_key, "\x1b[2J" + std::string(100000, 'x')}});
  EXPECT_LT(assess(broken).reason.size(), 1000U);
  EXPECT_THAT(assess(broken).reason, HasSubstr("\"\\x1b[2Jxxx"));
  for (const std::string& text : {assess(long_list).fix, assess(broken).reason, hint_for(broken)}) {
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, Not(HasSubstr("\n")));
  }
}

}  // namespace
}  // namespace hairpind::providers
