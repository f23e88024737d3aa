// SPDX-License-Identifier: Apache-2.0
#include "aws_attributes.hpp"
#include "service_facts.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

constexpr std::string_view kType = "oci.oraclecloud.com/load-balancer-type";
constexpr std::string_view kKeep = "oci-network-load-balancer.oraclecloud.com/is-preserve-source";
constexpr std::string_view kProxyProtocol = "oci-network-load-balancer.oraclecloud.com/is-ppv2-enabled";

/// Preserved by default with externalTrafficPolicy Local, never with Cluster, and by network load balancers only
/// (getPreserveSource in oracle/oci-cloud-controller-manager, load_balancer_spec.go).
Judgement assess_oci(const Service& service, const ClusterFacts& /*facts*/) {
  const std::string off = quoted(kKeep, "false") +
                          " (the target then sees the load balancer's address; proxy protocol v2, " +
                          quoted(kProxyProtocol, "true") +
                          ", keeps the client's if the target speaks it; the targets' security rules must admit the "
                          "load balancer's subnet)";
  if (const auto type = annotation(service, kType); type != "nlb") {
    return {.risk = Risk::kUnknown,
            .reason = quoted(kType, type.value_or("")) + " is not a network load balancer's",
            .change = off};
  }
  if (service.external_traffic_policy != "Local") {
    return {.risk = Risk::kSafe,
            .reason =
                "with externalTrafficPolicy Cluster Oracle's network load balancer does not keep the client's "
                "address"};
  }
  const auto keep = annotation(service, kKeep);
  if (!keep) {
    return {.risk = Risk::kAtRisk,
            .reason = std::string(kKeep) +
                      " is not set, and the default with externalTrafficPolicy Local is to keep the client's address",
            .change = off};
  }
  const std::string setting = quoted(kKeep, *keep);
  switch (preservation_of(*keep)) {
    case Preservation::kOn:
      return {.risk = Risk::kAtRisk, .reason = setting + " keeps the client's address", .change = off};
    case Preservation::kOff:
      return {.risk = Risk::kSafe, .reason = setting};
    case Preservation::kAbsent:
    case Preservation::kBroken:
      break;
  }
  return {.risk = Risk::kUnknown, .reason = setting + " is neither true nor false", .change = off};
}

}  // namespace

constinit const Provider kOci{.name = "Oracle Cloud",
                              .link = "https://docs.oracle.com/en-us/iaas/Content/NetworkLoadBalancer/home.htm",
                              .assess = assess_oci};

}  // namespace hairpind::providers
