// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

TEST(AssessNodeHeld, NothingSaysThatNodesTranslate) {
  expect({
      {"MetalLB", service({{"metallb.io/address-pool", "a"}}, {proxy}), Risk::kUnknown, "MetalLB gives"},
      {"MetalLB, old", service({{"metallb.universe.tf/allow-shared-ip", "a"}}), Risk::kUnknown, "MetalLB gives"},
      {"MetalLB, address", service({{"metallb.io/address-pool", "a"}}, {vip}), Risk::kSafe, "kube-proxy"},
      {"Cilium", service({{"lbipam.cilium.io/ips", "10.0.5.5"}}), Risk::kUnknown, "Cilium gives"},
      {"Cilium, old", service({{"io.cilium/lb-ipam-ips", "10.0.5.5"}}), Risk::kUnknown, "Cilium gives"},
      {"Cilium class", with_class("io.cilium/l2-announcer"), Risk::kUnknown, "Cilium gives"},
      {"kube-vip", service({{"kube-vip.io/loadbalancerIPs", "10.0.5.5"}}), Risk::kUnknown, "kube-vip gives"},
  });
}

}  // namespace
}  // namespace hairpind::providers
