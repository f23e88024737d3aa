// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/preservation.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <vector>

namespace hairpind {
namespace {

// kubernetes-sigs/aws-load-balancer-controller, docs/guide/service/annotations.md.
constexpr std::string_view kAwsClass = "service.k8s.aws/nlb";
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

struct ProviderPage {
  Provider provider;
  std::string_view name;
  std::string_view link;
};

constexpr std::array kProviderPages = {
    ProviderPage{Provider::kAwsController, "the AWS Load Balancer Controller", kAwsClientIpLink},
    ProviderPage{Provider::kAwsInTree, "cloud-provider-aws",
                 "https://github.com/kubernetes/cloud-provider-aws/pull/1214"},
    ProviderPage{Provider::kAwsNlb, "AWS", kAwsTroubleshootingLink},
    ProviderPage{Provider::kAwsClassic, "AWS", kAwsTroubleshootingLink},
    ProviderPage{Provider::kAzure, "Azure",
                 "https://learn.microsoft.com/azure/load-balancer/load-balancer-troubleshoot-backend-traffic"},
    ProviderPage{Provider::kGcp, "Google Cloud", "https://cloud.google.com/load-balancing/docs/internal"},
    ProviderPage{Provider::kOci, "Oracle Cloud",
                 "https://docs.oracle.com/en-us/iaas/Content/NetworkLoadBalancer/home.htm"},
    ProviderPage{Provider::kMetalLb, "MetalLB", "https://metallb.io/"},
    ProviderPage{Provider::kCilium, "Cilium", "https://docs.cilium.io/en/stable/network/lb-ipam/"},
    ProviderPage{Provider::kKubeVip, "kube-vip", "https://kube-vip.io/"},
};

struct PrefixRule {
  std::string_view prefix;
  Provider provider;
};

constexpr std::array kClassRules = {
    PrefixRule{"networking.gke.io/", Provider::kGcp},
    PrefixRule{"io.cilium/", Provider::kCilium},
};

constexpr std::array kAnnotationRules = {
    PrefixRule{"service.beta.kubernetes.io/azure-load-balancer-", Provider::kAzure},
    PrefixRule{kGcpType, Provider::kGcp},
    PrefixRule{kGcpOldType, Provider::kGcp},
    PrefixRule{"oci-network-load-balancer.oraclecloud.com/", Provider::kOci},
    PrefixRule{"metallb.universe.tf/", Provider::kMetalLb},
    PrefixRule{"metallb.io/", Provider::kMetalLb},
    PrefixRule{"lbipam.cilium.io/", Provider::kCilium},
    PrefixRule{"io.cilium/", Provider::kCilium},
    PrefixRule{"kube-vip.io/", Provider::kKubeVip},
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
  if (service.load_balancer_class == kAwsClass) {
    return Provider::kAwsController;
  }
  for (const PrefixRule& rule : kClassRules) {
    if (service.load_balancer_class.starts_with(rule.prefix)) {
      return rule.provider;
    }
  }
  return Provider::kUnknown;
}

Provider provider_of_aws_type(const Service& service) {
  const auto type = annotation(service, kAwsType);
  if (type == "external" || type == "nlb-ip") {
    return Provider::kAwsController;
  }
  // The cloud providers' service controller leaves a Service with a class to someone else (KEP-1959).
  return type == "nlb" && service.load_balancer_class.empty() ? Provider::kAwsInTree : Provider::kUnknown;
}

Provider provider_of_annotations(const Service& service) {
  for (const PrefixRule& rule : kAnnotationRules) {
    const auto key = service.annotations.lower_bound(std::string(rule.prefix));
    if (key != service.annotations.end() && key->first.starts_with(rule.prefix)) {
      return rule.provider;
    }
  }
  return annotation(service, kOciType) == "nlb" ? Provider::kOci : Provider::kUnknown;
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

ProviderPage page_of(Provider provider) {
  const auto* const page = std::ranges::find(kProviderPages, provider, &ProviderPage::provider);
  return page == kProviderPages.end() ? ProviderPage{provider, "", ""} : *page;
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

Preservation preservation_in(std::string_view text) {
  Preservation preservation = Preservation::kAbsent;
  for (const auto& attribute : attributes_in(text)) {
    if (!attribute) {
      return Preservation::kBroken;
    }
    if (attribute->name != kPreserve) {
      continue;
    }
    if (attribute->value != "true" && attribute->value != "false") {
      return Preservation::kBroken;
    }
    preservation = attribute->value == "true" ? Preservation::kOn : Preservation::kOff;
  }
  return preservation;
}

/// The annotation that decides for a port: to read, and to change.
struct Setting {
  Preservation preservation;
  std::string key;
};

Setting setting_of(const Service& service, const std::string& key) {
  return {preservation_in(annotation(service, key).value_or("")), key};
}

/// The port's own annotation overrides the one for every port, attribute by attribute. A broken one fails both.
Setting setting_of_port(const Service& service, std::uint16_t port) {
  const Setting every_port = setting_of(service, std::string(kAwsAttributes));
  const Setting own = setting_of(service, std::string(kAwsAttributes) + "." + std::to_string(port));
  return every_port.preservation == Preservation::kBroken || own.preservation == Preservation::kAbsent ? every_port
                                                                                                       : own;
}

/// The annotation as it has to be: what it sets now, without what is broken, and preservation off.
std::string corrected(const Service& service, const std::string& key, Provider provider) {
  std::string line = key + ": ";
  for (const auto& attribute : attributes_in(annotation(service, key).value_or(""))) {
    // cloud-provider-aws refuses an annotation with any attribute but these two (its aws_validations.go).
    const bool refused = provider == Provider::kAwsInTree && attribute && attribute->name != kProxyProtocolV2;
    if (attribute && attribute->name != kPreserve && !refused) {
      line.append(attribute->name).append("=").append(attribute->value).append(",");
    }
  }
  return line.append(kPreserve).append("=false");
}

/// The annotation of its own is the AWS Load Balancer Controller's: cloud-provider-aws heeds it on classic ones only.
bool speaks_proxy_protocol(const Service& service, Provider provider) {
  const auto attributes = attributes_in(annotation(service, kAwsAttributes).value_or(""));
  const bool annotated = provider != Provider::kAwsInTree && annotation(service, kAwsProxyProtocol) == "*";
  return annotated || std::ranges::any_of(attributes, [](const auto& attribute) {
           return attribute && attribute->name == kProxyProtocolV2 && attribute->value == "true";
         });
}

/// What turning preservation off costs (docs/guide/service/nlb.md of the controller).
std::string aws_cost(const Service& service, Provider provider, bool instance_targets) {
  std::string cost = "the target then sees the load balancer's address; proxy protocol v2";
  if (speaks_proxy_protocol(service, provider)) {
    cost += ", which is on here, still carries the client's";
  } else if (provider == Provider::kAwsInTree) {
    cost += " (attribute " + std::string(kProxyProtocolV2) + "=true) keeps the client's if the target speaks it";
  } else {
    cost += " (" + quoted(kAwsProxyProtocol, "*") + ") keeps the client's if the target speaks it";
  }
  if (instance_targets) {
    cost += ", but with instance targets and externalTrafficPolicy Local it breaks HTTP health checks";
  }
  return cost + "; the targets' security group must admit the load balancer's subnets";
}

std::string broken_reason(const Service& service, const std::string& key) {
  return quoted(key, annotation(service, key).value_or("")) + " is not a list of attribute=value with " +
         std::string(kPreserve) + " true or false";
}

/// UDP is no part of the verdict, but its clients fail the same way.
std::string udp_note(const Service& service) {
  const auto ports = ports_of(service, "UDP");
  return ports.empty() ? ""
                       : "; " + name_ports("UDP", ports) +
                             " keeps the client's address too, which cannot be turned off: not part of this verdict";
}

enum class Targets : std::uint8_t { kInstance, kIp, kUnknown };

Targets targets_of(const Service& service) {
  const std::string_view type = annotation(service, kAwsTargetType).value_or("instance");
  if (annotation(service, kAwsType) == "nlb-ip" || type == "ip") {
    return Targets::kIp;
  }
  return type == "instance" ? Targets::kInstance : Targets::kUnknown;
}

/// What one TCP port's target group does with the client's address.
struct PortFinding {
  std::uint16_t port = 0;
  Risk risk = Risk::kUnknown;
  std::string reason;
  std::string key;  ///< the annotation that would turn preservation off; empty if none can
};

/// One TCP_UDP target group for both protocols of a port, as which AWS keeps the client's address whatever is set.
bool shares_listener_with_udp(const Service& service, std::uint16_t port) {
  return annotation(service, kAwsTcpUdp) == "true" && std::ranges::count(ports_of(service, "UDP"), port) > 0;
}

PortFinding default_of(const Service& service, std::uint16_t port, const std::string& key) {
  switch (targets_of(service)) {
    case Targets::kInstance:
      return {port, Risk::kAtRisk,
              "instance targets keep the client's address by default, and no annotation turns it off", key};
    case Targets::kIp:
      return {port, Risk::kSafe, "ip targets do not keep the client's address for TCP by default", key};
    case Targets::kUnknown:
      break;
  }
  return {port, Risk::kUnknown,
          quoted(kAwsTargetType, annotation(service, kAwsTargetType).value_or("")) + " is neither instance nor ip",
          key};
}

PortFinding finding_of(const Service& service, std::uint16_t port) {
  if (shares_listener_with_udp(service, port)) {
    return {port, Risk::kAtRisk,
            quoted(kAwsTcpUdp, "true") +
                " gives it one TCP_UDP listener with the UDP port of that number, which keeps "
                "the client's address and cannot be turned off",
            ""};
  }
  const Setting setting = setting_of_port(service, port);
  switch (setting.preservation) {
    case Preservation::kOn:
      return {port, Risk::kAtRisk, setting.key + " has " + std::string(kPreserve) + "=true", setting.key};
    case Preservation::kOff:
      return {port, Risk::kSafe, setting.key + " has " + std::string(kPreserve) + "=false", setting.key};
    case Preservation::kBroken:
      return {port, Risk::kUnknown, broken_reason(service, setting.key), setting.key};
    case Preservation::kAbsent:
      break;
  }
  return default_of(service, port, setting.key);
}

std::vector<PortFinding> findings_of(const Service& service) {
  std::vector<PortFinding> findings;
  for (const std::uint16_t port : ports_of(service, "TCP")) {
    findings.push_back(finding_of(service, port));
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
std::string controller_fix(const Service& service, Risk risk) {
  std::vector<std::string> lines;
  std::vector<std::uint16_t> inseparable;
  for (const PortFinding& finding : findings_of(service)) {
    if (finding.risk != risk) {
      continue;
    }
    if (finding.key.empty()) {
      inseparable.push_back(finding.port);
      continue;
    }
    const std::string line = corrected(service, finding.key, Provider::kAwsController);
    if (std::ranges::find(lines, line) == lines.end()) {
      lines.push_back(line);
    }
  }
  std::vector<std::string> steps;
  if (!lines.empty()) {
    steps.push_back(joined(lines, " and ") + " (" +
                    aws_cost(service, Provider::kAwsController, targets_of(service) != Targets::kIp) + ")");
  }
  if (!inseparable.empty()) {
    steps.push_back("give " + name_ports("UDP", inseparable) + " a Service of its own, so that " +
                    name_ports("TCP", inseparable) + " gets a TCP listener");
  }
  return joined(steps, "; ");
}

Assessment assess_aws_controller(const Service& service) {
  const std::vector<PortFinding> findings = findings_of(service);
  const Risk risk = worst_of(findings);
  return {.risk = risk,
          .reason = reason_of(findings, risk) + udp_note(service),
          .fix = risk == Risk::kSafe ? "" : controller_fix(service, risk),
          .link = std::string(risk == Risk::kUnknown ? kAwsAnnotationsLink : kAwsClientIpLink)};
}

/// Why cloud-provider-aws refuses an annotation that turns preservation off (its aws_validations.go); empty if not.
std::string in_tree_refusal(const Service& service) {
  if (has_port(service, "UDP")) {
    return "cloud-provider-aws refuses to turn preservation off for a Service with a UDP port";
  }
  for (const auto& attribute : attributes_in(annotation(service, kAwsAttributes).value_or(""))) {
    if (attribute && attribute->name != kPreserve && attribute->name != kProxyProtocolV2) {
      return "cloud-provider-aws refuses the attribute " + std::string(attribute->name);
    }
  }
  return {};
}

Assessment in_tree_off(const Service& service) {
  const std::string setting = std::string(kAwsAttributes) + " has " + std::string(kPreserve) + "=false";
  if (const std::string refusal = in_tree_refusal(service); !refusal.empty()) {
    return {.risk = Risk::kUnknown, .reason = setting + ", but " + refusal, .fix = {}, .link = {}};
  }
  return {.risk = Risk::kSafe, .reason = setting + "; " + std::string(kInTreeReleases), .fix = {}, .link = {}};
}

Assessment in_tree_verdict(const Service& service) {
  const std::string ports = name_ports("TCP", ports_of(service, "TCP"));
  const std::string key(kAwsAttributes);
  switch (setting_of(service, key).preservation) {
    case Preservation::kOff:
      return in_tree_off(service);
    case Preservation::kBroken:
      return {.risk = Risk::kUnknown, .reason = broken_reason(service, key), .fix = {}, .link = {}};
    case Preservation::kOn:
      return {.risk = Risk::kAtRisk,
              .reason = ports + ": " + key + " has " + std::string(kPreserve) + "=true",
              .fix = {},
              .link = {}};
    case Preservation::kAbsent:
      break;
  }
  return {.risk = Risk::kAtRisk,
          .reason = ports +
                    ": the in-tree controller's instance targets keep the client's address by default, and no "
                    "annotation turns it off",
          .fix = {},
          .link = {}};
}

std::string in_tree_fix(const Service& service) {
  std::string fix = has_port(service, "UDP") ? "give the UDP ports a Service of their own, then " : "";
  fix += corrected(service, std::string(kAwsAttributes), Provider::kAwsInTree) + " (";
  fix += aws_cost(service, Provider::kAwsInTree, true) + "); " + std::string(kInTreeReleases);
  return fix +
         ": with an older one switch to the AWS Load Balancer Controller, or set the attribute on the target group "
         "outside Kubernetes";
}

Assessment assess_aws_in_tree(const Service& service) {
  Assessment assessment = in_tree_verdict(service);
  assessment.reason += udp_note(service);
  assessment.fix = assessment.risk == Risk::kSafe ? "" : in_tree_fix(service);
  assessment.link = page_of(Provider::kAwsInTree).link;
  return assessment;
}

/// For a load balancer whose controller is not known: the AWS change, as by far the most frequent, and what it costs.
std::string general_fix(const Service& service) {
  return "turn off client IP preservation on the load balancer's target group (AWS NLB: " + std::string(kPreserve) +
         "=false; with the AWS Load Balancer Controller annotate the Service with " +
         corrected(service, std::string(kAwsAttributes), Provider::kAwsController) + "; " +
         std::string(kInTreeReleases) + "; " + aws_cost(service, Provider::kUnknown, true) + ")";
}

Assessment assess_aws_nlb(const Service& service) {
  std::string reason = published(service) +
                       ", an NLB's, but nothing says which controller made it or whether its target group keeps the "
                       "client's address (instance targets do by default)";
  if (const std::string names = unknown_names(service); !names.empty()) {
    reason += "; " + names;
  }
  return {.risk = Risk::kUnknown,
          .reason = reason + udp_note(service),
          .fix = general_fix(service),
          .link = std::string(kAwsTroubleshootingLink)};
}

Assessment assess_aws_classic(const Service& service) {
  return {.risk = Risk::kSafe,
          .reason = published(service) + ", a classic load balancer's: a full proxy with an address of its own",
          .fix = {},
          .link = std::string(page_of(Provider::kAwsClassic).link)};
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
  return {.risk = internal && leaves_the_node ? Risk::kAtRisk : Risk::kUnknown,
          .reason = reason,
          .fix = alternative(service),
          .link = std::string(page_of(Provider::kAzure).link)};
}

bool is_gcp_internal(const Service& service) {
  if (!service.load_balancer_class.empty()) {
    return service.load_balancer_class == kGcpInternalClass;
  }
  const auto type = annotation(service, kGcpType);
  return (type ? type : annotation(service, kGcpOldType)) == "Internal";
}

Assessment assess_gcp(const Service& service) {
  const std::string link(page_of(Provider::kGcp).link);
  if (is_gcp_internal(service)) {
    return {.risk = Risk::kSafe,
            .reason =
                "an internal passthrough load balancer of Google Cloud: targets answer with the forwarding rule's "
                "address",
            .fix = {},
            .link = link};
  }
  return {.risk = Risk::kUnknown,
          .reason =
              published(service) + ", and nothing says that it is an internal passthrough load balancer (class \"" +
              service.load_balancer_class + "\", " + quoted(kGcpType, annotation(service, kGcpType).value_or("")) + ")",
          .fix = alternative(service),
          .link = link};
}

/// Oracle's controller preserves by default with externalTrafficPolicy Local, and never with Cluster (OKE release notes
/// of 2022-08-17; oracle/oci-cloud-controller-manager, load_balancer_spec.go).
Assessment assess_oci(const Service& service) {
  const auto preserve = annotation(service, kOciPreserve);
  const std::string off = quoted(kOciPreserve, "false") +
                          " (the target then sees the load balancer's address; proxy protocol v2, " +
                          quoted(kOciProxyProtocol, "true") +
                          ", keeps the client's if the target speaks it; the targets' security rules must admit the "
                          "load balancer's subnet)";
  Assessment assessment{
      .risk = Risk::kUnknown, .reason = {}, .fix = off, .link = std::string(page_of(Provider::kOci).link)};
  if (preserve == "true") {
    assessment.risk = Risk::kAtRisk;
    assessment.reason =
        quoted(kOciPreserve, *preserve) + " keeps the client's address with externalTrafficPolicy Local";
  } else if (preserve == "false") {
    assessment.risk = Risk::kSafe;
    assessment.reason = quoted(kOciPreserve, *preserve);
    assessment.fix.clear();
  } else if (preserve) {
    assessment.reason = quoted(kOciPreserve, *preserve) + " is neither true nor false";
  } else {
    assessment.reason = std::string(kOciPreserve) +
                        " is not set, and the default is to keep the client's address with externalTrafficPolicy Local";
  }
  return assessment;
}

/// MetalLB, Cilium, kube-vip: an address that the nodes hold, and are to translate themselves.
Assessment assess_node_held(const Service& service, Provider provider) {
  const ProviderPage page = page_of(provider);
  return {.risk = Risk::kUnknown,
          .reason = published(service) + ", so nothing says that every node translates the address which " +
                    std::string(page.name) + " gives",
          .fix = alternative(service),
          .link = std::string(page.link)};
}

Assessment assess_unknown(const Service& service) {
  const std::string names = unknown_names(service);
  return {.risk = Risk::kUnknown,
          .reason = published(service) + ", and " +
                    (names.empty() ? "neither a class nor an annotation says which load balancer it is" : names),
          .fix = general_fix(service),
          .link = {}};
}

Assessment assess_by_provider(const Service& service, Provider provider) {
  switch (provider) {
    case Provider::kAwsController:
      return assess_aws_controller(service);
    case Provider::kAwsInTree:
      return assess_aws_in_tree(service);
    case Provider::kAwsNlb:
      return assess_aws_nlb(service);
    case Provider::kAwsClassic:
      return assess_aws_classic(service);
    case Provider::kAzure:
      return assess_azure(service);
    case Provider::kGcp:
      return assess_gcp(service);
    case Provider::kOci:
      return assess_oci(service);
    case Provider::kMetalLb:
    case Provider::kCilium:
    case Provider::kKubeVip:
      return assess_node_held(service, provider);
    case Provider::kUnknown:
      break;
  }
  return assess_unknown(service);
}

bool is_nlb(Provider provider) {
  return provider == Provider::kAwsController || provider == Provider::kAwsInTree || provider == Provider::kAwsNlb;
}

Assessment assess_without_tcp(const Service& service, Provider provider) {
  const std::vector<std::uint16_t> udp = ports_of(service, "UDP");
  if (!udp.empty() && is_nlb(provider)) {
    return {.risk = Risk::kAtRisk,
            .reason = name_ports("UDP", udp) +
                      " only: AWS keeps the client's address for UDP and cannot turn that off, and there is no "
                      "handshake to watch",
            .fix = alternative(service),
            .link = std::string(kAwsClientIpLink)};
  }
  return {.risk = Risk::kUnknown,
          .reason = "no TCP port, and only a TCP handshake can be watched and judged",
          .fix = alternative(service),
          .link = std::string(page_of(provider).link)};
}

constexpr std::string_view kMissedTranslation =
    "the handshake that was seen says otherwise: look for a translation that the node missed (kube-proxy or what "
    "replaces it), or for a load balancer that this manifest does not describe";

/// What to change. An alert about a Service that ought to be safe means that the manifest does not tell the whole.
std::string change_for(const Service& service, const Assessment& assessment, Provider provider) {
  if (assessment.risk != Risk::kSafe) {
    return assessment.fix;
  }
  if (publishes_only_virtual_ips(service) || !is_nlb(provider)) {
    return std::string(kMissedTranslation);
  }
  const std::string check = "the handshake that was seen says otherwise: check that the target group really has " +
                            std::string(kPreserve) + "=false, and pin it with ";
  return check + (provider == Provider::kAwsInTree ? in_tree_fix(service) : controller_fix(service, assessment.risk));
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
  const Provider provider = provider_of(service);
  if (service.ports.empty()) {
    return {.risk = Risk::kUnknown,
            .reason = "the Service has no ports",
            .fix = "give the Service a port",
            .link = std::string(page_of(provider).link)};
  }
  if (publishes_only_virtual_ips(service)) {
    return {.risk = Risk::kSafe,
            .reason = published(service) + ", which kube-proxy, or what replaces it, translates on the client's node",
            .fix = {},
            .link = std::string(kIpModeLink)};
  }
  return has_port(service, "TCP") ? assess_by_provider(service, provider) : assess_without_tcp(service, provider);
}

std::string hint_for(const Service& service) {
  const Provider provider = provider_of(service);
  const Assessment assessment = assess(service);
  const std::string change = change_for(service, assessment, provider);
  std::string hint = "Service " + service.full_name() + ": " + assessment.reason + ". Remedy: ";
  if (change != alternative(service)) {
    hint += change + ". Or ";
  }
  hint += alternative(service) + ". See ";
  return hint.append(assessment.link.empty() ? kAwsTroubleshootingLink : std::string_view(assessment.link));
}

}  // namespace hairpind
