// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "aws_nlb.hpp"
#include "hairpind/core/printable.hpp"
#include "service_facts.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

// Longer than any real one: AWS knows some twenty attributes.
constexpr std::size_t kLongestList = 1024;

bool is_refused(const Attribute& attribute, const NlbController& controller) {
  return controller.strict && attribute.name != kPreserve && attribute.name != kProxyProtocolV2;
}

std::vector<std::optional<Attribute>> attributes_at(const Service& service, std::string_view key) {
  return attributes_in(annotation(service, key).value_or(""));
}

}  // namespace

NlbSetting setting_of(const Service& service, std::uint16_t port, const NlbController& controller) {
  const auto read = [&](const std::string& key) {
    return NlbSetting{preservation_in(annotation(service, key).value_or("")), key};
  };
  NlbSetting every_port = read(std::string(kAwsAttributes));
  if (!controller.all_annotations || every_port.preservation == Preservation::kBroken) {
    return every_port;
  }
  const NlbSetting own = read(std::string(kAwsAttributes) + "." + std::to_string(port));
  return own.preservation == Preservation::kAbsent ? every_port : own;
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
  return type == "instance" || controller.other_is_instance ? Targets::kInstance : Targets::kUnknown;
}

bool speaks_proxy_protocol(const Service& service, const NlbController& controller) {
  return (controller.all_annotations && annotation(service, kAwsProxyProtocol) == "*") ||
         std::ranges::any_of(attributes_at(service, kAwsAttributes), [](const auto& attribute) {
           return attribute && attribute->name == kProxyProtocolV2 && attribute->value == "true";
         });
}

bool shares_listener_with_udp(const Service& service, std::uint16_t port, const NlbController& controller) {
  return controller.all_annotations && annotation(service, kAwsTcpUdp) == "true" &&
         std::ranges::count(ports_of(service, "UDP"), port) > 0;
}

bool is_internet_facing(const Service& service, const NlbController& controller) {
  const auto internal = annotation(service, kAwsInternal);
  const bool says_internal = internal && internal != "false";
  return controller.strict ? !says_internal : annotation(service, kAwsScheme) == "internet-facing";
}

std::optional<NlbRefusal> refusal_of(const Service& service, const NlbController& controller) {
  if (controller.strict && has_port(service, "UDP")) {
    return NlbRefusal{.udp_port = true, .attribute = std::nullopt};
  }
  for (const auto& attribute : attributes_at(service, kAwsAttributes)) {
    if (attribute && is_refused(*attribute, controller)) {
      return NlbRefusal{.udp_port = false, .attribute = attribute->name};
    }
  }
  return std::nullopt;
}

std::string corrected(const Service& service, std::string_view key, const NlbController& controller) {
  std::string others;
  for (const auto& attribute : attributes_at(service, key)) {
    if (attribute && attribute->name != kPreserve && !is_refused(*attribute, controller)) {
      others.append(attribute->name).append("=").append(attribute->value).append(",");
    }
  }
  const std::string shown = printable(others, kLongestList);
  return std::string(key) + ": " + shown + (shown == others ? "" : ",") + std::string(kPreserve) + "=false";
}

std::string nlb_cost(const Service& service, const NlbController& controller) {
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

std::string general_change(const Service& service) {
  return "turn off client IP preservation on the load balancer's target group (AWS NLB: " + std::string(kPreserve) +
         "=false; with the AWS Load Balancer Controller annotate the Service with " +
         corrected(service, kAwsAttributes, kControllerNlb) + "; " + std::string(kInTreeReleases) + "; " +
         nlb_cost(service, kControllerNlb) + ")";
}

}  // namespace hairpind::providers
