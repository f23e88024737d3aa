// SPDX-License-Identifier: Apache-2.0
#include "service_facts.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

constexpr std::string_view kPreventLoopback = "service.cloud.tencent.com/prevent-loopback";

/// TKE's kube-proxy in IPVS mode leaves the load balancer's address alone, since the load balancer checks health from
/// it, unless this is set ("CLB Loopback", document 457/42976).
bool may_loop_back(const Service& service) {
  return annotation(service, kPreventLoopback) != "true";
}

Judgement assess_tke(const Service& service, const ClusterFacts& /*facts*/) {
  if (!may_loop_back(service)) {
    return {.risk = Risk::kUnknown,
            .reason = published(service) + ", which is none that nodes could translate, whatever " +
                      quoted(kPreventLoopback, "true") + " says"};
  }
  return {.risk = Risk::kUnknown,
          .reason = published(service) +
                    ", and in IPVS mode TKE's nodes do not translate it: the load balancer then sends a client back to "
                    "its own node, with its address kept (in iptables mode they do)",
          .change = quoted(kPreventLoopback, "true") + " (needs a kube-proxy that knows it, as its page says)"};
}

}  // namespace

constinit const Provider kTencentTke{.name = "Tencent Cloud TKE",
                                     .link = "https://www.tencentcloud.com/document/product/457/42976",
                                     .assess = assess_tke,
                                     .leaves_the_node = may_loop_back};

}  // namespace hairpind::providers
