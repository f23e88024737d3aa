// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "hairpind/core/address.hpp"
#include "hairpind/core/kubernetes.hpp"

namespace hairpind {

/// The part of a TargetGroupBinding (elbv2.k8s.aws, AWS Load Balancer Controller) that hairpind uses: a target group
/// that was made elsewhere, and the Service whose backends it holds.
struct TargetGroupBinding {
  std::string namespace_name;
  std::string name;
  std::string service;       ///< of the same namespace
  std::string port;          ///< of the Service: its number or its name
  std::string target_group;  ///< its ARN or name; printable
  bool instances = false;    ///< targets are nodes, by the Service's node port; else they are pods

  bool operator==(const TargetGroupBinding&) const = default;

  /// "namespace/name"
  [[nodiscard]] std::string full_name() const { return namespace_name + "/" + name; }
};

/// Where a load balancer has sent a client's SYN.
struct LoadBalancerTarget {
  Endpoint endpoint;
  std::optional<Pod> pod;  ///< of this node, whose address it is
};

/// Whether a load balancer with this target may be fed by this Service, which the binding names. A target port that the
/// Service has only a name for is taken as right.
bool feeds(const TargetGroupBinding& binding, const Service& service, const LoadBalancerTarget& target);

}  // namespace hairpind
