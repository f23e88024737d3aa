// SPDX-License-Identifier: Apache-2.0
#include "text.hpp"

namespace hairpind::providers {
namespace {

/// An address that the nodes hold, and are to translate themselves.
template <const Provider& provider>
Judgement assess_node_held(const Service& service, const ClusterFacts& /*facts*/) {
  return {.risk = Risk::kUnknown,
          .reason = published(service) + ", so nothing says that every node translates the address which " +
                    std::string(provider.name) + " gives"};
}

}  // namespace

constinit const Provider kMetalLb{
    .name = "MetalLB", .link = "https://metallb.io/", .assess = assess_node_held<kMetalLb>};

constinit const Provider kCilium{
    .name = "Cilium", .link = "https://docs.cilium.io/en/stable/network/lb-ipam/", .assess = assess_node_held<kCilium>};

constinit const Provider kKubeVip{
    .name = "kube-vip", .link = "https://kube-vip.io/", .assess = assess_node_held<kKubeVip>};

}  // namespace hairpind::providers
