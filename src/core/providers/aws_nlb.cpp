// SPDX-License-Identifier: Apache-2.0
#include "aws_nlb.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "service_facts.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

// kubernetes/cloud-provider-aws: pull requests 1314 to 1317 took 1214 back to these releases; a minor release later has
// it from the start.
constexpr KubernetesVersion kFirstBackport{.major = 1, .minor = 31};
constexpr KubernetesVersion kFirstWithAttributes{.major = 1, .minor = 35};

// The address that reaches such a load balancer is the one outside: of a NAT gateway, which is no target, or the node's
// own (docs.aws.amazon.com/eks/latest/userguide/external-snat.html).
constexpr std::string_view kInternetFacing =
    "; it is internet-facing: affected are clients on nodes with a public address of their own, not those behind a NAT "
    "gateway";

/// What one TCP port's target group does with the client's address.
struct PortFinding {
  std::uint16_t port = 0;
  Risk risk = Risk::kUnknown;
  std::string reason;
  std::optional<std::string> key;  ///< the annotation that would turn preservation off, if one can
};

std::string refused(const NlbRefusal& refusal) {
  return refusal.udp_port ? "cloud-provider-aws refuses to turn preservation off for a Service with a UDP port"
                          : "cloud-provider-aws refuses the attribute " + std::string(refusal.attribute.value_or(""));
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

/// The annotation is set; whether the controller reads it depends on its release, which is its cluster's.
PortFinding off_in_tree(std::uint16_t port, const std::string& has, const std::string& key, const ClusterFacts& facts) {
  const std::string releases = has + "; " + std::string(kInTreeReleases);
  if (!facts.newest_node) {
    return {port, Risk::kUnknown, releases + ", and a manifest does not tell which one runs", key};
  }
  const std::string nodes = "the newest node runs Kubernetes " + facts.newest_node->to_string();
  if (*facts.newest_node < kFirstBackport) {
    return {port, Risk::kAtRisk, releases + ", and " + nodes + ": nothing turns it off", key};
  }
  if (*facts.newest_node < kFirstWithAttributes) {
    return {port, Risk::kUnknown, releases + ", and " + nodes + ", which does not tell", key};
  }
  return {port, Risk::kSafe, has + "; " + nodes + ", whose cloud-provider-aws honours it", key};
}

PortFinding finding_of(const Service& service, std::uint16_t port, const NlbController& controller,
                       const ClusterFacts& facts) {
  if (shares_listener_with_udp(service, port, controller)) {
    return {port, Risk::kAtRisk,
            quoted(kAwsTcpUdp, "true") +
                " gives it one TCP_UDP listener with the UDP port of that number, which keeps "
                "the client's address and cannot be turned off",
            std::nullopt};
  }
  const NlbSetting setting = setting_of(service, port, controller);
  const std::string has = setting.key + " has " + std::string(kPreserve);
  switch (setting.preservation) {
    case Preservation::kOn:
      return {port, Risk::kAtRisk, has + "=true", setting.key};
    case Preservation::kOff:
      if (const auto refusal = refusal_of(service, controller)) {
        return {port, Risk::kUnknown, has + "=false, but " + refused(*refusal), setting.key};
      }
      if (controller.strict) {
        return off_in_tree(port, has + "=false", setting.key, facts);
      }
      return {port, Risk::kSafe, has + "=false", setting.key};
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

std::vector<PortFinding> findings_of(const Service& service, const NlbController& controller,
                                     const ClusterFacts& facts) {
  std::vector<PortFinding> findings;
  for (const std::uint16_t port : ports_of(service, "TCP")) {
    findings.push_back(finding_of(service, port, controller, facts));
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

/// UDP is no part of the verdict, but its clients fail the same way.
std::string udp_note(const Service& service) {
  const auto ports = ports_of(service, "UDP");
  return ports.empty() ? ""
                       : "; " + name_ports("UDP", ports) +
                             " keeps the client's address too, which cannot be turned off: not part of this verdict";
}

/// The annotations, as they have to be, of the ports that `risk` names.
std::string nlb_change(const Service& service, const NlbController& controller, const ClusterFacts& facts, Risk risk) {
  std::vector<std::string> lines;
  std::vector<std::uint16_t> inseparable;
  for (const PortFinding& finding : findings_of(service, controller, facts)) {
    if (finding.risk != risk) {
      continue;
    }
    if (!finding.key) {
      inseparable.push_back(finding.port);
      continue;
    }
    const std::string line = corrected(service, *finding.key, controller);
    if (std::ranges::find(lines, line) == lines.end()) {
      lines.push_back(line);
    }
  }
  std::vector<std::string> steps;
  if (!lines.empty()) {
    const bool apart = controller.strict && has_port(service, "UDP");
    steps.push_back((apart ? "give the UDP ports a Service of their own, then " : "") + joined(lines, " and ") + " (" +
                    nlb_cost(service, controller) + ")");
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

template <const NlbController& controller>
Judgement assess_nlb(const Service& service, const ClusterFacts& facts) {
  const std::vector<PortFinding> findings = findings_of(service, controller, facts);
  const Risk risk = worst_of(findings);
  const bool noted = risk != Risk::kSafe && is_internet_facing(service, controller);
  Judgement judgement{
      .risk = risk,
      .reason = reason_of(findings, risk) + udp_note(service) + (noted ? std::string(kInternetFacing) : ""),
      .change = nlb_change(service, controller, facts, risk)};
  if (risk == Risk::kUnknown && controller.all_annotations) {
    judgement.link = kAwsAnnotationsLink;
  }
  return judgement;
}

template <const NlbController& controller>
std::string doubt_nlb(const Service& service) {
  return "the handshake that was seen says otherwise: check that the target group really has " +
         std::string(kPreserve) + "=false, and pin it with " + nlb_change(service, controller, {}, Risk::kSafe);
}

Judgement assess_unclaimed_nlb(const Service& service, const ClusterFacts& /*facts*/) {
  std::string reason = published(service) +
                       ", an NLB's, but nothing says which controller made it or whether its target group keeps the "
                       "client's address (instance targets do by default)";
  if (const std::string names = strange_names(service); !names.empty()) {
    reason += "; " + names;
  }
  return {.risk = Risk::kUnknown, .reason = reason + udp_note(service), .change = general_change(service)};
}

}  // namespace

constinit const Provider kAwsController{.name = "AWS Load Balancer Controller",
                                        .link = kAwsClientIpLink,
                                        .assess = assess_nlb<kControllerNlb>,
                                        .doubt = doubt_nlb<kControllerNlb>,
                                        .keeps_udp_source = true};

constinit const Provider kAwsAutoMode{
    .name = "EKS Auto Mode",
    .link = "https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-nlb.html",
    .assess = assess_nlb<kAutoModeNlb>,
    .doubt = doubt_nlb<kAutoModeNlb>,
    .keeps_udp_source = true};

constinit const Provider kAwsInTree{.name = "cloud-provider-aws",
                                    .link = "https://github.com/kubernetes/cloud-provider-aws/pull/1214",
                                    .assess = assess_nlb<kInTreeNlb>,
                                    .doubt = doubt_nlb<kInTreeNlb>,
                                    .keeps_udp_source = true};

constinit const Provider kAwsNlb{
    .name = "AWS NLB", .link = kAwsTroubleshootingLink, .assess = assess_unclaimed_nlb, .keeps_udp_source = true};

}  // namespace hairpind::providers
