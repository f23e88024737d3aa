// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/preservation.hpp"

#include <utility>

#include "providers/aws_nlb.hpp"
#include "providers/detection.hpp"
#include "providers/service_facts.hpp"
#include "providers/text.hpp"

namespace hairpind {
namespace {

using namespace providers;

constexpr std::string_view kIpModeLink =
    "https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1860-kube-proxy-IP-node-binding";

Judgement judge_without_tcp(const Service& service, const Provider& provider) {
  const std::vector<std::uint16_t> udp = ports_of(service, "UDP");
  if (!udp.empty() && provider.keeps_udp_source) {
    return {.risk = Risk::kAtRisk,
            .reason = name_ports("UDP", udp) +
                      " only: AWS keeps the client's address for UDP and cannot turn that off, and there is no "
                      "handshake to watch",
            .link = kAwsClientIpLink};
  }
  return {.risk = Risk::kUnknown, .reason = "no TCP port, and only a TCP handshake can be watched and judged"};
}

/// Nothing but its own load balancer's rule is known of a Service that kube-proxy leaves to another proxy.
std::string other_proxy(const Service& service) {
  return "; label " + quoted("service.kubernetes.io/service-proxy-name", service.proxy_name) +
         " gives the Service to another proxy than kube-proxy, so that nothing says that nodes translate its address";
}

Judgement judge(const Service& service, const Provider& provider, const ClusterFacts& facts) {
  if (service.ports.empty()) {
    return {.risk = Risk::kUnknown, .reason = "the Service has no ports", .change = "give the Service a port"};
  }
  if (nodes_translate(service, provider)) {
    return {.risk = Risk::kSafe,
            .reason = published(service) + ", which kube-proxy, or what replaces it, translates on the client's node",
            .link = kIpModeLink};
  }
  if (!has_port(service, "TCP")) {
    return judge_without_tcp(service, provider);
  }
  Judgement judgement = provider.assess(service, facts);
  if (judgement.risk != Risk::kSafe && !service.proxy_name.empty() && publishes_only_virtual_ips(service)) {
    judgement.reason += other_proxy(service);
  }
  return judgement;
}

}  // namespace

bool is_judged(std::string_view annotation) {
  return providers::reads(annotation);
}

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

Assessment assess(const Service& service, const ClusterFacts& facts) {
  const Provider& provider = provider_of(service);
  Judgement judgement = judge(service, provider, facts);
  return {.risk = judgement.risk,
          .reason = std::move(judgement.reason),
          .fix = judgement.risk == Risk::kSafe ? "" : judgement.change.value_or(alternative(service)),
          .link = std::string(judgement.link.value_or(provider.link))};
}

std::string hint_for(const Service& service) {
  const Provider& provider = provider_of(service);
  return hint(service, judge(service, provider, {}), provider);
}

}  // namespace hairpind
