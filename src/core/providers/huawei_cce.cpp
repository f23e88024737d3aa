// SPDX-License-Identifier: Apache-2.0
#include "service_facts.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

constexpr std::string_view kClass = "kubernetes.io/elb.class";
constexpr std::string_view kPassThrough = "kubernetes.io/elb.pass-through";

/// Pass-through takes the address out of the nodes' rules. With externalTrafficPolicy Local CCE sets it by itself, to
/// "onlyLocal" (support.huaweicloud.com, usermanual-cce, cce_10_0355).
bool passes_through(const Service& service) {
  const auto set = annotation(service, kPassThrough);
  return set ? set != "false" : service.external_traffic_policy == "Local";
}

/// A dedicated ELB keeps the client's address, and "a cloud server cannot be used as a backend server and a client at
/// the same time" (bestpractice-elb, elb_bp_1014).
Judgement assess_cce(const Service& service, const ClusterFacts& /*facts*/) {
  const std::string off = quoted(kPassThrough, "false") +
                          ", so that nodes translate the load balancer's address themselves; with "
                          "externalTrafficPolicy Cluster, or a node without a backend reaches none";
  const auto set = annotation(service, kPassThrough);
  const std::string through =
      set ? quoted(kPassThrough, *set)
          : std::string(kPassThrough) + ", which CCE sets by itself with externalTrafficPolicy Local,";
  if (passes_through(service) && annotation(service, kClass) == "performance") {
    return {.risk = Risk::kAtRisk,
            .reason = through + " sends clients inside the cluster to the load balancer, and a dedicated one (" +
                      quoted(kClass, "performance") +
                      ") cannot be reached from a backend's node or from other pods on it",
            .change = off};
  }
  if (passes_through(service)) {
    return {.risk = Risk::kUnknown,
            .reason = through + " sends clients inside the cluster to the load balancer, and nothing says whether a " +
                      "shared one keeps the client's address",
            .change = off};
  }
  return {.risk = Risk::kUnknown,
          .reason = published(service) + ", and nothing says whether nodes translate the load balancer's address"};
}

}  // namespace

constinit const Provider kHuaweiCce{
    .name = "Huawei Cloud CCE",
    .link = "https://support.huaweicloud.com/intl/en-us/usermanual-cce/cce_10_0355.html",
    .assess = assess_cce,
    .leaves_the_node = passes_through};

}  // namespace hairpind::providers
