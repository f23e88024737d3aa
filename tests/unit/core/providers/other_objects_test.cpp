// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/load_balancer_object.hpp"
#include "services.hpp"

namespace hairpind::providers {
namespace {

LoadBalancerObject object(std::string kind) {
  LoadBalancerObject made;
  made.kind = std::move(kind);
  made.namespace_name = "edge";
  made.name = "web";
  return made;
}

LoadBalancerObject configuration(std::vector<TargetGroupSettings> groups) {
  LoadBalancerObject made = object("TargetGroupConfiguration");
  made.target_groups = std::move(groups);
  return made;
}

TargetGroupSettings group(std::optional<std::string> type, std::optional<std::string> preserve = std::nullopt) {
  TargetGroupSettings settings;
  settings.target_type = std::move(type);
  if (preserve) {
    settings.attributes["preserve_client_ip.enabled"] = *preserve;
  }
  return settings;
}

TargetGroupSettings of_route(std::string kind, TargetGroupSettings settings = {}) {
  settings.route_kind = std::move(kind);
  return settings;
}

TargetGroupSettings of_protocol(std::string protocol, TargetGroupSettings settings = {}) {
  settings.protocol = std::move(protocol);
  return settings;
}

TEST(AssessObject, EachKindSaysWhatToLookAt) {
  for (const char* const kind : {"Gateway", "TargetGroupBinding", "IngressController", "Ingress"}) {
    const Assessment assessment = assess(object(kind));
    EXPECT_EQ(assessment.risk, Risk::kUnknown) << kind;
    EXPECT_THAT(assessment.fix, StartsWith("look at ")) << kind;
    EXPECT_THAT(assessment.link, StartsWith("https://")) << kind;
  }
  EXPECT_EQ(assess(object("Teapot")).risk, Risk::kUnknown);
}

TEST(AssessObject, EachKindSaysWhatTheAgentDoesWithIt) {
  LoadBalancerObject nlb = object("Gateway");
  nlb.class_name = "gateway.k8s.aws/nlb";
  for (const LoadBalancerObject& gateway : {object("Gateway"), nlb}) {
    EXPECT_THAT(assess(gateway).fix, HasSubstr("hairpind run watches for the addresses that its status has"));
  }
  EXPECT_THAT(assess(object("TargetGroupBinding")).fix, HasSubstr("names it by this binding and its Service"));
  EXPECT_THAT(assess(object("TargetGroupBinding")).reason, HasSubstr("or for a Service or Ingress that decides"))
      << "most are the controller's own";
  EXPECT_THAT(assess(object("Ingress")).fix, HasSubstr("names this Ingress where its status has the address"));
  LoadBalancerObject by_hand = object("IngressController");
  by_hand.publishing = "HostNetwork";
  EXPECT_THAT(assess(by_hand).fix, HasSubstr("hairpind run finds it when it fails"));
  by_hand.publishing = "LoadBalancerService";
  EXPECT_THAT(assess(by_hand).fix, HasSubstr("the Service router-web")) << "which is watched as any other";
}

TEST(AssessGateway, TheClassSaysWhose) {
  LoadBalancerObject gateway = object("Gateway");
  gateway.class_name = "internal";
  gateway.controller = "gateway.k8s.aws/nlb";
  EXPECT_EQ(assess(gateway).risk, Risk::kUnknown);
  EXPECT_THAT(assess(gateway).fix, HasSubstr("TargetGroupConfigurations"));
  gateway.controller = "gateway.k8s.aws/alb";
  EXPECT_EQ(assess(gateway).risk, Risk::kSafe);
  gateway.class_name = "gateway.k8s.aws/alb";
  gateway.controller = "";
  EXPECT_EQ(assess(gateway).risk, Risk::kSafe) << "by the name that the controller's guide gives it";
  gateway.controller = "istio.io/gateway-controller";
  EXPECT_EQ(assess(gateway).risk, Risk::kUnknown) << "a name is no proof where the class is known";
}

TEST(AssessIngress, AlbIsAFullProxy) {
  LoadBalancerObject ingress = object("Ingress");
  ingress.class_name = "nginx";
  EXPECT_THAT(assess(ingress).fix, HasSubstr("in front of that ingress controller"));
  ingress.class_name = "alb";
  EXPECT_EQ(assess(ingress).risk, Risk::kSafe);
  ingress.class_name = "internal";
  ingress.controller = "ingress.k8s.aws/alb";
  EXPECT_EQ(assess(ingress).risk, Risk::kSafe);
}

TEST(AssessIngressController, NamesItsService) {
  LoadBalancerObject controller = object("IngressController");
  controller.publishing = "LoadBalancerService";
  controller.provider = "AWS NLB";
  EXPECT_THAT(assess(controller).reason, HasSubstr("(AWS NLB)"));
  EXPECT_THAT(assess(controller).fix, HasSubstr("Service router-web in the namespace openshift-ingress"));
  controller.publishing = "HostNetwork";
  EXPECT_THAT(assess(controller).reason, HasSubstr("OpenShift makes no load balancer"));
}

TEST(AssessTargetGroupConfiguration, AttributesThenTargetTypeDecide) {
  struct Case {
    std::string what;
    std::vector<TargetGroupSettings> groups;
    Risk risk;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {"nothing", {}, Risk::kUnknown, "unless the Gateway's default"},
      {"instance", {group("instance")}, Risk::kAtRisk, "instance targets keep"},
      {"ip", {group("ip")}, Risk::kSafe, "ip targets do not"},
      {"instance, off", {group("instance", "false")}, Risk::kSafe, "\"false\""},
      {"ip, on", {group("ip", "true")}, Risk::kAtRisk, "\"true\""},
      {"off, type not said", {group(std::nullopt, "false")}, Risk::kSafe, "\"false\""},
      {"broken", {group("ip", "no")}, Risk::kUnknown, "neither true nor false"},
      {"UDP", {of_protocol("TCP_UDP", group("ip", "false"))}, Risk::kAtRisk, "cannot be turned off"},
      {"HTTP", {of_protocol("HTTP", group("instance"))}, Risk::kSafe, "Application Load Balancer"},
      {"a route turns it on", {group("ip"), of_route("TCPRoute", group("ip", "true"))}, Risk::kAtRisk, "TCPRoute: "},
      {"a route inherits", {group("instance", "false"), of_route("TCPRoute")}, Risk::kSafe, "\"false\""},
      {"a route's type, the default's attribute",
       {group("ip", "true"), of_route("TLSRoute", group("instance"))},
       Risk::kAtRisk,
       "TLSRoute: "},
      {"an HTTP route is the other load balancer's",
       {group("ip"), of_route("HTTPRoute", group("instance"))},
       Risk::kSafe,
       ""},
      {"at risk outweighs unknown",
       {group(std::nullopt), of_route("TCPRoute", group("instance"))},
       Risk::kAtRisk,
       "TCPRoute: instance"},
  };
  for (const Case& wanted : cases) {
    const Assessment assessment = assess(configuration(wanted.groups));
    EXPECT_EQ(to_string(assessment.risk), to_string(wanted.risk)) << wanted.what << ": " << assessment.reason;
    EXPECT_THAT(assessment.reason, HasSubstr(wanted.reason)) << wanted.what;
    EXPECT_EQ(assessment.fix.empty(), wanted.risk == Risk::kSafe) << wanted.what;
  }
}

}  // namespace
}  // namespace hairpind::providers
