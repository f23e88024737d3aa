// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/preservation.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace hairpind {
namespace {

// kubernetes-sigs/aws-load-balancer-controller, docs/guide/service/annotations.md.
constexpr std::string_view kAwsType = "service.beta.kubernetes.io/aws-load-balancer-type";
constexpr std::string_view kAwsTargetType = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type";
constexpr std::string_view kAwsAttributes = "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes";
constexpr std::string_view kAwsTcpUdp = "service.beta.kubernetes.io/aws-load-balancer-enable-tcp-udp-listener";
constexpr std::string_view kAwsProxyProtocol = "service.beta.kubernetes.io/aws-load-balancer-proxy-protocol";
constexpr std::string_view kPreserve = "preserve_client_ip.enabled";
constexpr std::string_view kProxyProtocolV2 = "proxy_protocol_v2.enabled";
constexpr std::string_view kAzureInternal = "service.beta.kubernetes.io/azure-load-balancer-internal";
constexpr std::string_view kGcpType = "networking.gke.io/load-balancer-type";
constexpr std::string_view kGcpOldType = "cloud.google.com/load-balancer-type";
constexpr std::string_view kGcpInternalClass = "networking.gke.io/l4-regional-internal";
constexpr std::string_view kOciType = "oci.oraclecloud.com/load-balancer-type";
constexpr std::string_view kOciPreserve = "oci-network-load-balancer.oraclecloud.com/is-preserve-source";
constexpr std::string_view kOciProxyProtocol = "oci-network-load-balancer.oraclecloud.com/is-ppv2-enabled";

constexpr std::string_view kAwsClientIpLink =
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/"
    "edit-target-group-attributes.html#client-ip-preservation";
constexpr std::string_view kAwsTroubleshootingLink =
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-troubleshooting.html";
constexpr std::string_view kAwsAnnotationsLink =
    "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/annotations/";
constexpr std::string_view kIpModeLink =
    "https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1860-kube-proxy-IP-node-binding";

constexpr std::string_view kInTreeReleases =
    "cloud-provider-aws honours it only in the 1.31-1.34 releases of December 2025 and later "
    "(kubernetes/cloud-provider-aws pull request 1214)";

enum class Provider : std::uint8_t {
  kUnknown,
  kAwsController,  ///< NLB of the AWS Load Balancer Controller
  kAwsAutoMode,    ///< NLB of EKS Auto Mode
  kAwsInTree,      ///< NLB of the in-tree controller or cloud-provider-aws
  kAwsNlb,         ///< NLB by its host name; the controller is not known
  kAwsClassic,
  kAzure,
  kGcp,
  kOci,
  kMetalLb,
  kCilium,
  kKubeVip,
};

/// Without a link: the provider's page.
Assessment judged(Risk risk, std::string reason, std::string fix = "", std::string_view link = "") {
  return {.risk = risk, .reason = std::move(reason), .fix = std::move(fix), .link = std::string(link)};
}

/// What says whose load balancer a Service's is. An annotation's rule without a value fits any.
struct Evidence {
  std::string_view key_prefix;
  std::string_view value;
  Provider provider;
};

// By spec.loadBalancerClass, which binds a Service to one controller.
constexpr std::array kClassEvidence = {
    Evidence{"service.k8s.aws/nlb", "", Provider::kAwsController},
    Evidence{"eks.amazonaws.com/nlb", "", Provider::kAwsAutoMode},
    Evidence{"networking.gke.io/", "", Provider::kGcp},
    Evidence{"io.cilium/", "", Provider::kCilium},
};

// With "external" alone no controller of today takes a Service that has no class; but its webhook, on by default,
// gives new ones its class (service_utils.go of the controller, docs/guide/service/nlb.md).
constexpr std::array kAwsTypeEvidence = {
    Evidence{kAwsType, "external", Provider::kAwsController},
    Evidence{kAwsType, "nlb-ip", Provider::kAwsController},
    Evidence{kAwsType, "nlb", Provider::kAwsInTree},
};

constexpr std::array kAnnotationEvidence = {
    Evidence{"service.beta.kubernetes.io/azure-load-balancer-", "", Provider::kAzure},
    Evidence{kGcpType, "", Provider::kGcp},
    Evidence{kGcpOldType, "", Provider::kGcp},
    Evidence{"oci-network-load-balancer.oraclecloud.com/", "", Provider::kOci},
    Evidence{"metallb.universe.tf/", "", Provider::kMetalLb},
    Evidence{"metallb.io/", "", Provider::kMetalLb},
    Evidence{"lbipam.cilium.io/", "", Provider::kCilium},
    Evidence{"io.cilium/", "", Provider::kCilium},
    Evidence{"kube-vip.io/", "", Provider::kKubeVip},
    Evidence{kOciType, "nlb", Provider::kOci},
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t end = text.find(separator);
  for (; end != std::string_view::npos; end = text.find(separator)) {
    parts.push_back(trimmed(text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  parts.push_back(trimmed(text));
  return parts;
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    text.append(text.empty() ? "" : separator).append(part);
  }
  return text;
}

std::optional<std::string_view> annotation(const Service& service, std::string_view key) {
  const auto found = service.annotations.find(std::string(key));
  return found == service.annotations.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

/// key: "value", as a person finds it in the manifest.
std::string quoted(std::string_view key, std::string_view value) {
  return std::string(key) + ": \"" + std::string(value) + "\"";
}

/// "name.elb.region.amazonaws.com" is an NLB's, "name.region.elb.amazonaws.com" a classic load balancer's.
Provider provider_of_hostname(std::string_view hostname) {
  for (const std::string_view domain : {".amazonaws.com", ".amazonaws.com.cn"}) {
    if (!hostname.ends_with(domain)) {
      continue;
    }
    const auto labels = split(hostname.substr(0, hostname.size() - domain.size()), '.');
    if (labels.size() >= 3 && labels.back() == "elb") {
      return Provider::kAwsClassic;
    }
    if (labels.size() >= 3 && labels[labels.size() - 2] == "elb") {
      return Provider::kAwsNlb;
    }
  }
  return Provider::kUnknown;
}

Provider provider_of_status(const Service& service) {
  for (const ServiceIngress& ingress : service.ingress) {
    if (const Provider provider = provider_of_hostname(ingress.hostname); provider != Provider::kUnknown) {
      return provider;
    }
  }
  return Provider::kUnknown;
}

Provider provider_of_class(const Service& service) {
  for (const Evidence& evidence : kClassEvidence) {
    if (service.load_balancer_class.starts_with(evidence.key_prefix)) {
      return evidence.provider;
    }
  }
  return Provider::kUnknown;
}

Provider provider_by(std::span<const Evidence> table, const Service& service) {
  for (const Evidence& evidence : table) {
    const auto found = service.annotations.lower_bound(std::string(evidence.key_prefix));
    if (found != service.annotations.end() && found->first.starts_with(evidence.key_prefix) &&
        (evidence.value.empty() || found->second == evidence.value)) {
      return evidence.provider;
    }
  }
  return Provider::kUnknown;
}

Provider provider_of_aws_type(const Service& service) {
  const Provider provider = provider_by(kAwsTypeEvidence, service);
  // The cloud providers' service controller leaves a Service with a class to someone else (KEP-1959).
  return provider == Provider::kAwsInTree && !service.load_balancer_class.empty() ? Provider::kUnknown : provider;
}

Provider provider_of_annotations(const Service& service) {
  return provider_by(kAnnotationEvidence, service);
}

/// The surest evidence first: the class binds a Service to one controller, stray annotations bind it to none.
Provider provider_of(const Service& service) {
  for (const auto evidence : {provider_of_class, provider_of_aws_type, provider_of_status, provider_of_annotations}) {
    if (const Provider provider = evidence(service); provider != Provider::kUnknown) {
      return provider;
    }
  }
  return Provider::kUnknown;
}

/// The class and the type annotation where they have a value that says nothing here; empty if none has.
std::string unknown_names(const Service& service) {
  std::vector<std::string> names;
  if (!service.load_balancer_class.empty() && provider_of_class(service) == Provider::kUnknown) {
    names.push_back("loadBalancerClass \"" + service.load_balancer_class + "\" is not known");
  }
  if (const auto type = annotation(service, kAwsType); type && provider_of_aws_type(service) == Provider::kUnknown) {
    names.push_back(type == "nlb" ? quoted(kAwsType, *type) + " does not count beside a loadBalancerClass"
                                  : quoted(kAwsType, *type) + " is not a known type");
  }
  return joined(names, ", and ");
}

/// "TCP port 443", "UDP ports 53, 443".
std::string name_ports(std::string_view protocol, const std::vector<std::uint16_t>& ports) {
  std::vector<std::string> numbers;
  std::ranges::transform(ports, std::back_inserter(numbers), [](std::uint16_t port) { return std::to_string(port); });
  return std::string(protocol) + (ports.size() == 1 ? " port " : " ports ") + joined(numbers, ", ");
}

std::vector<std::uint16_t> ports_of(const Service& service, std::string_view protocol) {
  std::vector<std::uint16_t> ports;
  for (const ServicePort& port : service.ports) {
    if (port.protocol == protocol) {
      ports.push_back(port.port);
    }
  }
  return ports;
}

bool has_port(const Service& service, std::string_view protocol) {
  return !ports_of(service, protocol).empty();
}

/// Only addresses that kube-proxy, or what replaces it, translates on the client's node (KEP-1860).
bool publishes_only_virtual_ips(const Service& service) {
  return !service.ingress.empty() && std::ranges::all_of(service.ingress, [](const ServiceIngress& ingress) {
    return !ingress.ip.empty() && ingress.hostname.empty() && (ingress.ip_mode.empty() || ingress.ip_mode == "VIP");
  });
}

/// What the status publishes, as the beginning of a reason.
std::string published(const Service& service) {
  std::vector<std::string> names;
  names.reserve(service.ingress.size());
  for (const ServiceIngress& ingress : service.ingress) {
    names.push_back(ingress.hostname.empty() ? "address " + ingress.ip + " with ipMode " +
                                                   (ingress.ip_mode.empty() ? "VIP" : ingress.ip_mode)
                                             : "host name " + ingress.hostname);
  }
  return names.empty() ? "the status publishes no address yet" : "the status publishes " + joined(names, ", ");
}

/// What helps with every load balancer.
std::string alternative(const Service& service) {
  return "let clients inside the cluster use the ClusterIP Service (" + service.name + "." + service.namespace_name +
         ".svc) instead of the load balancer, or keep client and target on different nodes";
}

enum class Targets : std::uint8_t { kInstance, kIp, kUnknown };

/// What a controller of AWS NLBs heeds. All three heed kAwsAttributes.
struct NlbController {
  Provider provider;
  Targets default_targets;
  bool target_type;      ///< kAwsTargetType
  bool all_annotations;  ///< kAwsAttributes with the suffix ".<port>", kAwsProxyProtocol, kAwsTcpUdp, type "nlb-ip"
  /// Refuses attributes but preservation and proxy protocol, and preservation off beside a UDP port
  /// (cloud-provider-aws, aws_validations.go).
  bool strict;
};

constexpr std::array kNlbControllers = {
    // model_build_target_group.go of the controller.
    NlbController{Provider::kAwsController, Targets::kInstance, true, true, false},
    // docs.aws.amazon.com/eks/latest/userguide: auto-networking.html (the default), auto-configure-nlb.html.
    NlbController{Provider::kAwsAutoMode, Targets::kIp, true, false, false},
    NlbController{Provider::kAwsInTree, Targets::kInstance, false, false, true},
};

/// nullptr: not an NLB, or nothing says whose.
const NlbController* nlb_controller_of(Provider provider) {
  const auto* const found = std::ranges::find(kNlbControllers, provider, &NlbController::provider);
  return found == kNlbControllers.end() ? nullptr : found;
}

enum class Preservation : std::uint8_t { kAbsent, kOn, kOff, kBroken };

struct Attribute {
  std::string_view name;
  std::string_view value;
};

/// "k=v, k=v"; nothing for an entry without "=" or without a name, which the controllers refuse.
std::vector<std::optional<Attribute>> attributes_in(std::string_view text) {
  std::vector<std::optional<Attribute>> attributes;
  if (trimmed(text).empty()) {
    return attributes;
  }
  for (const std::string_view entry : split(text, ',')) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      attributes.emplace_back();
    } else {
      attributes.emplace_back(Attribute{trimmed(entry.substr(0, equals)), trimmed(entry.substr(equals + 1))});
    }
  }
  return attributes;
}

// The AWS Load Balancer Controller takes Go's other spellings (strconv.ParseBool) too and hands them on as they are.
// Whether AWS then takes them is not known: one of true may turn preservation on, one of false need not turn it off.
Preservation preservation_of(std::string_view value) {
  constexpr std::array<std::string_view, 6> kTrue = {"true", "True", "TRUE", "T", "t", "1"};
  if (value == "false") {
    return Preservation::kOff;
  }
  return std::ranges::find(kTrue, value) != kTrue.end() ? Preservation::kOn : Preservation::kBroken;
}

Preservation preservation_in(std::string_view text) {
  Preservation preservation = Preservation::kAbsent;
  for (const auto& attribute : attributes_in(text)) {
    if (!attribute) {
      return Preservation::kBroken;
    }
    if (attribute->name == kPreserve) {
      preservation = preservation_of(attribute->value);
      if (preservation == Preservation::kBroken) {
        return preservation;
      }
    }
  }
  return preservation;
}

/// The annotation that decides for a port: to read, and to change.
struct Setting {
  Preservation preservation;
  std::string key;
};

/// The port's own annotation overrides the one for every port, attribute by attribute. A broken one fails both.
Setting setting_of(const Service& service, std::uint16_t port, const NlbController& controller) {
  const auto read = [&](const std::string& key) {
    return Setting{preservation_in(annotation(service, key).value_or("")), key};
  };
  Setting every_port = read(std::string(kAwsAttributes));
  if (!controller.all_annotations || every_port.preservation == Preservation::kBroken) {
    return every_port;
  }
  const Setting own = read(std::string(kAwsAttributes) + "." + std::to_string(port));
  return own.preservation == Preservation::kAbsent ? every_port : own;
}

bool is_refused(const Attribute& attribute, const NlbController& controller) {
  return controller.strict && attribute.name != kPreserve && attribute.name != kProxyProtocolV2;
}

/// Why the controller refuses an annotation that turns preservation off; empty if it does not.
std::string refusal(const Service& service, const NlbController& controller) {
  if (controller.strict && has_port(service, "UDP")) {
    return "cloud-provider-aws refuses to turn preservation off for a Service with a UDP port";
  }
  for (const auto& attribute : attributes_in(annotation(service, kAwsAttributes).value_or(""))) {
    if (attribute && is_refused(*attribute, controller)) {
      return "cloud-provider-aws refuses the attribute " + std::string(attribute->name);
    }
  }
  return {};
}

/// The annotation as it has to be: what it sets now, without what is broken or refused, and preservation off.
std::string corrected(const Service& service, const std::string& key, const NlbController& controller) {
  std::string line = key + ": ";
  for (const auto& attribute : attributes_in(annotation(service, key).value_or(""))) {
    if (attribute && attribute->name != kPreserve && !is_refused(*attribute, controller)) {
      line.append(attribute->name).append("=").append(attribute->value).append(",");
    }
  }
  return line.append(kPreserve).append("=false");
}

bool speaks_proxy_protocol(const Service& service, const NlbController& controller) {
  const auto attributes = attributes_in(annotation(service, kAwsAttributes).value_or(""));
  return (controller.all_annotations && annotation(service, kAwsProxyProtocol) == "*") ||
         std::ranges::any_of(attributes, [](const auto& attribute) {
           return attribute && attribute->name == kProxyProtocolV2 && attribute->value == "true";
         });
}

Targets targets_of(const Service& service, const NlbController& controller) {
  if (!controller.target_type) {
    return controller.default_targets;
  }
  if (controller.all_annotations && annotation(service, kAwsType) == "nlb-ip") {
    return Targets::kIp;
  }
  const auto type = annotation(service, kAwsTargetType);
  if (!type) {
    return controller.default_targets;
  }
  if (type == "ip") {
    return Targets::kIp;
  }
  // The AWS Load Balancer Controller takes whatever is not ip for instance.
  return type == "instance" || controller.provider == Provider::kAwsController ? Targets::kInstance : Targets::kUnknown;
}

/// What turning preservation off costs (docs/guide/service/nlb.md of the controller).
std::string aws_cost(const Service& service, const NlbController& controller) {
  std::string cost = "the target then sees the load balancer's address; proxy protocol v2";
  if (speaks_proxy_protocol(service, controller)) {
    cost += ", which is on here, still carries the client's";
  } else if (controller.all_annotations) {
    cost += " (" + quoted(kAwsProxyProtocol, "*") + ") keeps the client's if the target speaks it";
  } else {
    cost += " (attribute " + std::string(kProxyProtocolV2) + "=true) keeps the client's if the target speaks it";
  }
  if (targets_of(service, controller) != Targets::kIp) {
    cost += ", but with instance targets and externalTrafficPolicy Local it breaks HTTP health checks";
  }
  return cost + "; the targets' security group must admit the load balancer's subnets";
}

/// UDP is no part of the verdict, but its clients fail the same way.
std::string udp_note(const Service& service) {
  const auto ports = ports_of(service, "UDP");
  return ports.empty() ? ""
                       : "; " + name_ports("UDP", ports) +
                             " keeps the client's address too, which cannot be turned off: not part of this verdict";
}

/// What one TCP port's target group does with the client's address.
struct PortFinding {
  std::uint16_t port = 0;
  Risk risk = Risk::kUnknown;
  std::string reason;
  std::string key;  ///< the annotation that would turn preservation off; empty if none can
};

/// One TCP_UDP target group for both protocols of a port, as which AWS keeps the client's address whatever is set.
bool shares_listener_with_udp(const Service& service, std::uint16_t port, const NlbController& controller) {
  return controller.all_annotations && annotation(service, kAwsTcpUdp) == "true" &&
         std::ranges::count(ports_of(service, "UDP"), port) > 0;
}

PortFinding default_of(const Service& service, std::uint16_t port, const std::string& key,
                       const NlbController& controller) {
  switch (targets_of(service, controller)) {
    case Targets::kInstance:
      return {port, Risk::kAtRisk,
              "instance targets keep the client's address by default, and no annotation turns it off", key};
    case Targets::kIp:
      return {port, Risk::kSafe,
              std::string("ip targets") + (annotation(service, kAwsTargetType) ? "" : ", the default here,") +
                  " do not keep the client's address for TCP by default",
              key};
    case Targets::kUnknown:
      break;
  }
  return {port, Risk::kUnknown,
          quoted(kAwsTargetType, annotation(service, kAwsTargetType).value_or("")) + " is neither instance nor ip",
          key};
}

PortFinding finding_of(const Service& service, std::uint16_t port, const NlbController& controller) {
  if (shares_listener_with_udp(service, port, controller)) {
    return {port, Risk::kAtRisk,
            quoted(kAwsTcpUdp, "true") +
                " gives it one TCP_UDP listener with the UDP port of that number, which keeps "
                "the client's address and cannot be turned off",
            ""};
  }
  const Setting setting = setting_of(service, port, controller);
  const std::string has = setting.key + " has " + std::string(kPreserve);
  switch (setting.preservation) {
    case Preservation::kOn:
      return {port, Risk::kAtRisk, has + "=true", setting.key};
    case Preservation::kOff:
      if (const std::string why = refusal(service, controller); !why.empty()) {
        return {port, Risk::kUnknown, has + "=false, but " + why, setting.key};
      }
      return {port, Risk::kSafe, has + "=false" + (controller.strict ? "; " + std::string(kInTreeReleases) : ""),
              setting.key};
    case Preservation::kBroken:
      return {port, Risk::kUnknown,
              quoted(setting.key, annotation(service, setting.key).value_or("")) +
                  " is not a list of attribute=value with " + std::string(kPreserve) + " true or false",
              setting.key};
    case Preservation::kAbsent:
      break;
  }
  return default_of(service, port, setting.key, controller);
}

std::vector<PortFinding> findings_of(const Service& service, const NlbController& controller) {
  std::vector<PortFinding> findings;
  for (const std::uint16_t port : ports_of(service, "TCP")) {
    findings.push_back(finding_of(service, port, controller));
  }
  return findings;
}

/// One port that fails is enough; and what is not known of one port cannot be made up by the others.
Risk worst_of(const std::vector<PortFinding>& findings) {
  for (const Risk risk : {Risk::kAtRisk, Risk::kUnknown}) {
    if (std::ranges::find(findings, risk, &PortFinding::risk) != findings.end()) {
      return risk;
    }
  }
  return Risk::kSafe;
}

/// "TCP ports 80, 443: why; TCP port 8080: why", of the ports with this risk.
std::string reason_of(const std::vector<PortFinding>& findings, Risk risk) {
  struct Group {
    std::string reason;
    std::vector<std::uint16_t> ports;
  };
  std::vector<Group> groups;
  for (const PortFinding& finding : findings) {
    if (finding.risk != risk) {
      continue;
    }
    auto group = std::ranges::find(groups, finding.reason, &Group::reason);
    if (group == groups.end()) {
      group = groups.insert(groups.end(), Group{finding.reason, {}});
    }
    group->ports.push_back(finding.port);
  }
  std::vector<std::string> reasons;
  std::ranges::transform(groups, std::back_inserter(reasons),
                         [](const Group& group) { return name_ports("TCP", group.ports) + ": " + group.reason; });
  return joined(reasons, "; ");
}

/// The annotations, as they have to be, of the ports that `risk` names.
std::string nlb_fix(const Service& service, const NlbController& controller, Risk risk) {
  std::vector<std::string> lines;
  std::vector<std::uint16_t> inseparable;
  for (const PortFinding& finding : findings_of(service, controller)) {
    if (finding.risk != risk) {
      continue;
    }
    if (finding.key.empty()) {
      inseparable.push_back(finding.port);
      continue;
    }
    const std::string line = corrected(service, finding.key, controller);
    if (std::ranges::find(lines, line) == lines.end()) {
      lines.push_back(line);
    }
  }
  std::vector<std::string> steps;
  if (!lines.empty()) {
    const bool apart = controller.strict && has_port(service, "UDP");
    steps.push_back((apart ? "give the UDP ports a Service of their own, then " : "") + joined(lines, " and ") + " (" +
                    aws_cost(service, controller) + ")");
  }
  if (!inseparable.empty()) {
    steps.push_back("give " + name_ports("UDP", inseparable) + " a Service of its own, so that " +
                    name_ports("TCP", inseparable) + " gets a TCP listener");
  }
  if (controller.strict) {
    steps.push_back(std::string(kInTreeReleases) +
                    ": with an older one switch to the AWS Load Balancer Controller, or set the attribute on the "
                    "target group outside Kubernetes");
  }
  return joined(steps, "; ");
}

Assessment assess_nlb(const Service& service, const NlbController& controller) {
  const std::vector<PortFinding> findings = findings_of(service, controller);
  const Risk risk = worst_of(findings);
  const bool unread = risk == Risk::kUnknown && controller.all_annotations;
  return judged(risk, reason_of(findings, risk) + udp_note(service),
                risk == Risk::kSafe ? "" : nlb_fix(service, controller, risk), unread ? kAwsAnnotationsLink : "");
}

/// For a load balancer whose controller is not known: the AWS change, as by far the most frequent, and what it costs.
std::string general_fix(const Service& service) {
  const NlbController& controller = kNlbControllers.front();
  return "turn off client IP preservation on the load balancer's target group (AWS NLB: " + std::string(kPreserve) +
         "=false; with the AWS Load Balancer Controller annotate the Service with " +
         corrected(service, std::string(kAwsAttributes), controller) + "; " + std::string(kInTreeReleases) + "; " +
         aws_cost(service, controller) + ")";
}

Assessment assess_unclaimed_nlb(const Service& service) {
  std::string reason = published(service) +
                       ", an NLB's, but nothing says which controller made it or whether its target group keeps the "
                       "client's address (instance targets do by default)";
  if (const std::string names = unknown_names(service); !names.empty()) {
    reason += "; " + names;
  }
  return judged(Risk::kUnknown, reason + udp_note(service), general_fix(service));
}

Assessment assess_aws_classic(const Service& service) {
  return judged(Risk::kSafe,
                published(service) + ", a classic load balancer's: a full proxy with an address of its own");
}

/// A VM of the backend pool that is mapped to itself cannot reach the frontend, unless its node translates the address.
Assessment assess_azure(const Service& service) {
  const bool internal = annotation(service, kAzureInternal) == "true";
  const bool leaves_the_node = !service.ingress.empty();
  std::string reason = published(service);
  if (internal) {
    reason += ", and an Azure internal load balancer (" + quoted(kAzureInternal, "true") +
              ") fails a client that it maps back to the client's own node";
    reason += leaves_the_node ? "" : ", unless the status gets an address with ipMode VIP";
  } else {
    reason += ", and nothing says what this Azure load balancer does with a client on the target's own node";
  }
  return judged(internal && leaves_the_node ? Risk::kAtRisk : Risk::kUnknown, reason, alternative(service));
}

bool is_gcp_internal(const Service& service) {
  if (!service.load_balancer_class.empty()) {
    return service.load_balancer_class == kGcpInternalClass;
  }
  const auto type = annotation(service, kGcpType);
  return (type ? type : annotation(service, kGcpOldType)) == "Internal";
}

Assessment assess_gcp(const Service& service) {
  if (is_gcp_internal(service)) {
    return judged(Risk::kSafe,
                  "an internal passthrough load balancer of Google Cloud: targets answer with the forwarding rule's "
                  "address");
  }
  return judged(Risk::kUnknown,
                published(service) + ", and nothing says that it is an internal passthrough load balancer (class \"" +
                    service.load_balancer_class + "\", " +
                    quoted(kGcpType, annotation(service, kGcpType).value_or("")) + ")",
                alternative(service));
}

/// Preserved by default with externalTrafficPolicy Local, never with Cluster, and by network load balancers only
/// (getPreserveSource in oracle/oci-cloud-controller-manager, load_balancer_spec.go).
Assessment assess_oci(const Service& service) {
  const std::string off = quoted(kOciPreserve, "false") +
                          " (the target then sees the load balancer's address; proxy protocol v2, " +
                          quoted(kOciProxyProtocol, "true") +
                          ", keeps the client's if the target speaks it; the targets' security rules must admit the "
                          "load balancer's subnet)";
  if (const auto type = annotation(service, kOciType); type != "nlb") {
    return judged(Risk::kUnknown, quoted(kOciType, type.value_or("")) + " is not a network load balancer's", off);
  }
  if (service.external_traffic_policy != "Local") {
    return judged(
        Risk::kSafe,
        "with externalTrafficPolicy Cluster Oracle's network load balancer does not keep the client's address");
  }
  const auto preserve = annotation(service, kOciPreserve);
  if (!preserve) {
    return judged(Risk::kAtRisk,
                  std::string(kOciPreserve) +
                      " is not set, and the default with externalTrafficPolicy Local is to keep the client's address",
                  off);
  }
  const std::string setting = quoted(kOciPreserve, *preserve);
  switch (preservation_of(*preserve)) {
    case Preservation::kOn:
      return judged(Risk::kAtRisk, setting + " keeps the client's address", off);
    case Preservation::kOff:
      return judged(Risk::kSafe, setting);
    case Preservation::kAbsent:
    case Preservation::kBroken:
      break;
  }
  return judged(Risk::kUnknown, setting + " is neither true nor false", off);
}

/// MetalLB, Cilium, kube-vip: an address that the nodes hold, and are to translate themselves.
Assessment assess_node_held(const Service& service, std::string_view giver) {
  return judged(Risk::kUnknown,
                published(service) + ", so nothing says that every node translates the address which " +
                    std::string(giver) + " gives",
                alternative(service));
}

Assessment assess_unknown(const Service& service) {
  const std::string names = unknown_names(service);
  return judged(Risk::kUnknown,
                published(service) + ", and " +
                    (names.empty() ? "neither a class nor an annotation says which load balancer it is" : names),
                general_fix(service));
}

/// How each provider's load balancer is judged, and its page for what the judgement has no better one.
struct ProviderRule {
  Provider provider;
  std::string_view link;
  Assessment (*assess)(const Service& service);
};

constexpr std::array kProviderRules = {
    ProviderRule{Provider::kAwsController, kAwsClientIpLink,
                 [](const Service& service) { return assess_nlb(service, kNlbControllers[0]); }},
    ProviderRule{Provider::kAwsAutoMode, "https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-nlb.html",
                 [](const Service& service) { return assess_nlb(service, kNlbControllers[1]); }},
    ProviderRule{Provider::kAwsInTree, "https://github.com/kubernetes/cloud-provider-aws/pull/1214",
                 [](const Service& service) { return assess_nlb(service, kNlbControllers[2]); }},
    ProviderRule{Provider::kAwsNlb, kAwsTroubleshootingLink, assess_unclaimed_nlb},
    ProviderRule{Provider::kAwsClassic, kAwsTroubleshootingLink, assess_aws_classic},
    ProviderRule{Provider::kAzure,
                 "https://learn.microsoft.com/azure/load-balancer/load-balancer-troubleshoot-backend-traffic",
                 assess_azure},
    ProviderRule{Provider::kGcp, "https://cloud.google.com/load-balancing/docs/internal", assess_gcp},
    ProviderRule{Provider::kOci, "https://docs.oracle.com/en-us/iaas/Content/NetworkLoadBalancer/home.htm", assess_oci},
    ProviderRule{Provider::kMetalLb, "https://metallb.io/",
                 [](const Service& service) { return assess_node_held(service, "MetalLB"); }},
    ProviderRule{Provider::kCilium, "https://docs.cilium.io/en/stable/network/lb-ipam/",
                 [](const Service& service) { return assess_node_held(service, "Cilium"); }},
    ProviderRule{Provider::kKubeVip, "https://kube-vip.io/",
                 [](const Service& service) { return assess_node_held(service, "kube-vip"); }},
    ProviderRule{Provider::kUnknown, "", assess_unknown},
};

const ProviderRule& rule_of(Provider provider) {
  return *std::ranges::find(kProviderRules, provider, &ProviderRule::provider);
}

bool is_nlb(Provider provider) {
  return provider == Provider::kAwsNlb || nlb_controller_of(provider) != nullptr;
}

Assessment assess_without_tcp(const Service& service, Provider provider) {
  const std::vector<std::uint16_t> udp = ports_of(service, "UDP");
  if (!udp.empty() && is_nlb(provider)) {
    return judged(Risk::kAtRisk,
                  name_ports("UDP", udp) +
                      " only: AWS keeps the client's address for UDP and cannot turn that off, and there is no "
                      "handshake to watch",
                  alternative(service), kAwsClientIpLink);
  }
  return judged(Risk::kUnknown, "no TCP port, and only a TCP handshake can be watched and judged",
                alternative(service));
}

Assessment assess_by(const Service& service, const ProviderRule& rule) {
  if (service.ports.empty()) {
    return judged(Risk::kUnknown, "the Service has no ports", "give the Service a port");
  }
  if (publishes_only_virtual_ips(service)) {
    return judged(Risk::kSafe,
                  published(service) + ", which kube-proxy, or what replaces it, translates on the client's node", "",
                  kIpModeLink);
  }
  return has_port(service, "TCP") ? rule.assess(service) : assess_without_tcp(service, rule.provider);
}

constexpr std::string_view kMissedTranslation =
    "the handshake that was seen says otherwise: look for a translation that the node missed (kube-proxy or what "
    "replaces it), or for a load balancer that this manifest does not describe";

/// What to change. An alert about a Service that ought to be safe means that the manifest does not tell the whole.
std::string change_for(const Service& service, const Assessment& assessment) {
  if (assessment.risk != Risk::kSafe) {
    return assessment.fix;
  }
  const NlbController* const controller = nlb_controller_of(provider_of(service));
  if (publishes_only_virtual_ips(service) || controller == nullptr) {
    return std::string(kMissedTranslation);
  }
  return "the handshake that was seen says otherwise: check that the target group really has " +
         std::string(kPreserve) + "=false, and pin it with " + nlb_fix(service, *controller, Risk::kSafe);
}

}  // namespace

std::string_view to_string(Risk risk) {
  switch (risk) {
    case Risk::kSafe:
      return "safe";
    case Risk::kAtRisk:
      return "at_risk";
    case Risk::kUnknown:
      break;
  }
  return "unknown";
}

Assessment assess(const Service& service) {
  const ProviderRule& rule = rule_of(provider_of(service));
  Assessment assessment = assess_by(service, rule);
  if (assessment.link.empty()) {
    assessment.link = rule.link;
  }
  return assessment;
}

std::string hint_for(const Service& service) {
  const Assessment assessment = assess(service);
  const std::string change = change_for(service, assessment);
  std::string hint = "Service " + service.full_name() + ": " + assessment.reason + ". Remedy: ";
  if (change != alternative(service)) {
    hint += change + ". Or ";
  }
  hint += alternative(service) + ". See ";
  return hint.append(assessment.link.empty() ? kAwsTroubleshootingLink : std::string_view(assessment.link));
}

}  // namespace hairpind
