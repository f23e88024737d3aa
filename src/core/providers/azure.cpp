// SPDX-License-Identifier: Apache-2.0
#include "service_facts.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

constexpr std::string_view kInternal = "service.beta.kubernetes.io/azure-load-balancer-internal";

/// A VM of the backend pool that is mapped to itself cannot reach the frontend, unless its node translates the address.
Judgement assess_azure(const Service& service, const ClusterFacts& /*facts*/) {
  const bool internal = annotation(service, kInternal) == "true";
  const bool leaves_the_node = !service.ingress.empty();
  std::string reason = published(service);
  if (internal) {
    reason += ", and an Azure internal load balancer (" + quoted(kInternal, "true") +
              ") fails a client that it maps back to the client's own node";
    reason += leaves_the_node ? "" : ", unless the status gets an address with ipMode VIP";
  } else {
    reason += ", and nothing says what this Azure load balancer does with a client on the target's own node";
  }
  return {.risk = internal && leaves_the_node ? Risk::kAtRisk : Risk::kUnknown, .reason = reason};
}

}  // namespace

constinit const Provider kAzure{
    .name = "Azure",
    .link = "https://learn.microsoft.com/azure/load-balancer/load-balancer-troubleshoot-backend-traffic",
    .assess = assess_azure};

}  // namespace hairpind::providers
