// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <utility>

#include "aws_nlb.hpp"
#include "hairpind/core/load_balancer_object.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

constexpr std::string_view kGatewayLink =
    "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/gateway/l4gateway/";
constexpr std::string_view kGatewayApiLink = "https://gateway-api.sigs.k8s.io/implementations/";
constexpr std::string_view kTargetGroupLink =
    "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/gateway/targetgroupconfig/";
constexpr std::string_view kBindingLink =
    "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/targetgroupbinding/"
    "targetgroupbinding/";
constexpr std::string_view kOpenShiftLink =
    "https://docs.redhat.com/en/documentation/openshift_container_platform/latest/html/ingress_and_load_balancing/"
    "configuring-ingress-cluster-traffic";
constexpr std::string_view kIngressLink =
    "https://kubernetes.io/docs/concepts/services-networking/ingress-controllers/";
constexpr std::string_view kAlbLink =
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html";

// What the agent on the nodes does with each, so that an unknown is no dead end.
constexpr std::string_view kWatched =
    "; hairpind run watches for the addresses that its status has, and says if they fail";
constexpr std::string_view kNamedByBinding =
    "; hairpind run finds the load balancer when it fails, and names it by this binding and its Service";
constexpr std::string_view kNamedByIngress =
    "; hairpind run finds the load balancer when it fails, and names this Ingress where its status has the address";
constexpr std::string_view kFound = "; hairpind run finds it when it fails";

constexpr std::string_view kAlb = ", an Application Load Balancer's: a full proxy with an address of its own";

std::string class_of(const LoadBalancerObject& object, std::string_view field) {
  const std::string name = std::string(field) + " " + value_words(object.class_name);
  return object.controller.empty() ? name : name + " (controller " + value_words(object.controller) + ")";
}

/// The class of a Gateway names its controller by convention only; where the class itself was read, it says.
bool is_of(const LoadBalancerObject& object, std::string_view controller) {
  return object.controller.empty() ? object.class_name == controller : object.controller == controller;
}

Assessment assess_gateway(const LoadBalancerObject& object) {
  const std::string whose = class_of(object, "gatewayClassName");
  // docs/guide/gateway/gateway.md of the controller.
  if (is_of(object, "gateway.k8s.aws/alb")) {
    return {.risk = Risk::kSafe, .reason = whose + std::string(kAlb), .fix = "", .link = std::string(kAlbLink)};
  }
  if (is_of(object, "gateway.k8s.aws/nlb")) {
    return {.risk = Risk::kUnknown,
            .reason = whose +
                      ", an NLB's, whose targets are instances by default and then keep the client's address; "
                      "each backend Service's TargetGroupConfiguration decides",
            .fix = "look at the TargetGroupConfigurations: targetType ip, or targetGroupAttributes with " +
                   std::string(kPreserve) + " \"false\"" + std::string(kWatched),
            .link = std::string(kGatewayLink)};
  }
  return {.risk = Risk::kUnknown,
          .reason = whose +
                    ": the Gateway's controller makes its load balancer, and nothing here says how it treats "
                    "the client's address",
          .fix =
              "look at the Service of type LoadBalancer that the controller makes for it (hairpind audit on the "
              "cluster), or at the controller's load balancer" +
              std::string(kWatched),
          .link = std::string(kGatewayApiLink)};
}

Assessment assess_binding(const LoadBalancerObject& object) {
  const std::string type = object.target_type.empty() ? "no targetType" : "targetType " + object.target_type;
  return {.risk = Risk::kUnknown,
          .reason = "a target group that was made elsewhere, or for a Service or Ingress that decides (" + type +
                    "); its attributes are not in the cluster" +
                    (object.target_type == "ip" ? "" : ": instance targets keep the client's address by default"),
          .fix = "look at the target group: aws elbv2 describe-target-group-attributes, " + std::string(kPreserve) +
                 " must be false if a Network Load Balancer uses it" + std::string(kNamedByBinding),
          .link = std::string(kBindingLink)};
}

/// One target group, after what its default says.
struct TargetGroupFinding {
  Risk risk = Risk::kSafe;
  std::string reason;
};

bool is_layer_7(const TargetGroupSettings& settings) {
  return settings.protocol == "HTTP" || settings.protocol == "HTTPS" || settings.route_kind == "HTTPRoute" ||
         settings.route_kind == "GRPCRoute";
}

TargetGroupFinding finding_of(const TargetGroupSettings& settings) {
  if (is_layer_7(settings)) {
    return {.risk = Risk::kSafe, .reason = "of an Application Load Balancer"};
  }
  if (settings.protocol == "UDP" || settings.protocol == "TCP_UDP") {
    return {.risk = Risk::kAtRisk,
            .reason = "protocol " + settings.protocol.value_or("") +
                      " keeps the client's address, which cannot be turned off"};
  }
  if (const auto preserve = settings.attributes.find(std::string(kPreserve)); preserve != settings.attributes.end()) {
    const std::string has = "targetGroupAttributes has " + quoted(kPreserve, preserve->second);
    switch (preservation_of(preserve->second)) {
      case Preservation::kOff:
        return {.risk = Risk::kSafe, .reason = has};
      case Preservation::kOn:
        return {.risk = Risk::kAtRisk, .reason = has};
      case Preservation::kAbsent:
      case Preservation::kBroken:
        return {.risk = Risk::kUnknown, .reason = has + ", neither true nor false"};
    }
  }
  if (settings.target_type == "ip") {
    return {.risk = Risk::kSafe, .reason = "ip targets do not keep the client's address for TCP by default"};
  }
  if (settings.target_type == "instance") {
    return {.risk = Risk::kAtRisk, .reason = "instance targets keep the client's address by default"};
  }
  return {.risk = Risk::kUnknown,
          .reason = "neither a known targetType nor " + std::string(kPreserve) +
                    ": the controller's default is instance, which keeps the client's address, unless the Gateway's "
                    "default configuration or --default-target-type says ip"};
}

TargetGroupSettings merged(TargetGroupSettings route, const TargetGroupSettings& every) {
  route.target_type = route.target_type ? route.target_type : every.target_type;
  route.protocol = route.protocol ? route.protocol : every.protocol;
  route.attributes.insert(every.attributes.begin(), every.attributes.end());
  return route;
}

Assessment assess_configuration(const LoadBalancerObject& object) {
  std::vector<TargetGroupFinding> findings;
  std::vector<TargetGroupSettings> groups = object.target_groups;
  if (groups.empty()) {
    groups.emplace_back();
  }
  for (const TargetGroupSettings& settings : groups) {
    TargetGroupFinding finding = finding_of(merged(settings, groups.front()));
    if (!settings.route_kind.empty()) {
      finding.reason = value_words(settings.route_kind) + ": " + finding.reason;
    }
    findings.push_back(std::move(finding));
  }
  Assessment assessment{.risk = Risk::kSafe, .reason = "", .fix = "", .link = std::string(kTargetGroupLink)};
  for (const Risk risk : {Risk::kUnknown, Risk::kAtRisk}) {
    if (std::ranges::find(findings, risk, &TargetGroupFinding::risk) != findings.end()) {
      assessment.risk = risk;
    }
  }
  std::vector<std::string> reasons;
  for (const TargetGroupFinding& finding : findings) {
    if (finding.risk == assessment.risk && std::ranges::find(reasons, finding.reason) == reasons.end()) {
      reasons.push_back(finding.reason);
    }
  }
  assessment.reason = "where an NLB Gateway uses it: " + joined(reasons, "; ");
  if (assessment.risk != Risk::kSafe) {
    assessment.fix = "targetGroupAttributes: [{key: " + std::string(kPreserve) +
                     ", value: \"false\"}] (the target then sees the load balancer's address; the targets' security "
                     "group must admit the load balancer's subnets)";
  }
  return assessment;
}

Assessment assess_ingress_controller(const LoadBalancerObject& object) {
  const std::string where = "look at the Service router-" + value_words(object.name) +
                            " in the namespace openshift-ingress (hairpind audit on the cluster)";
  if (!object.publishing.empty() && object.publishing != "LoadBalancerService") {
    return {.risk = Risk::kUnknown,
            .reason = "endpointPublishingStrategy " + value_words(object.publishing) +
                      ": OpenShift makes no load balancer for it, and whoever does decides",
            .fix = "look at the load balancer that is put in front of it by hand" + std::string(kFound),
            .link = std::string(kOpenShiftLink)};
  }
  const std::string provider = object.provider.empty() ? "the platform's load balancer" : object.provider;
  return {.risk = Risk::kUnknown,
          .reason = "OpenShift's ingress operator makes a Service of type LoadBalancer for it (" +
                    value_words(provider) + "), and that Service decides",
          .fix = where,
          .link = std::string(kOpenShiftLink)};
}

Assessment assess_ingress(const LoadBalancerObject& object) {
  const std::string whose =
      object.class_name.empty() ? "no ingressClassName: the default class's" : class_of(object, "ingressClassName");
  // docs/guide/ingress/ingress_class.md of the AWS Load Balancer Controller.
  if (object.class_name == "alb" || object.controller == "ingress.k8s.aws/alb") {
    return {.risk = Risk::kSafe, .reason = whose + std::string(kAlb), .fix = "", .link = std::string(kAlbLink)};
  }
  return {.risk = Risk::kUnknown,
          .reason = whose +
                    ": clients reach it through its controller's load balancer, of which it has the address at "
                    "most",
          .fix = "look at the Service of type LoadBalancer in front of that ingress controller" +
                 std::string(kNamedByIngress),
          .link = std::string(kIngressLink)};
}

/// How each kind is judged.
struct KindRule {
  std::string_view kind;
  Assessment (*assess)(const LoadBalancerObject& object);
};

constexpr std::array kKindRules = {
    KindRule{"Gateway", assess_gateway},
    KindRule{"TargetGroupBinding", assess_binding},
    KindRule{"TargetGroupConfiguration", assess_configuration},
    KindRule{"IngressController", assess_ingress_controller},
    KindRule{"Ingress", assess_ingress},
};

}  // namespace
}  // namespace hairpind::providers

namespace hairpind {

Assessment assess(const LoadBalancerObject& object) {
  const auto* const rule = std::ranges::find(providers::kKindRules, object.kind, &providers::KindRule::kind);
  if (rule == providers::kKindRules.end()) {
    return {.risk = Risk::kUnknown, .reason = "a kind that is not judged", .fix = "", .link = ""};
  }
  return rule->assess(object);
}

}  // namespace hairpind
