// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hairpind/core/preservation.hpp"

namespace hairpind {

/// What a TargetGroupConfiguration of the AWS Load Balancer Controller says of one target group.
struct TargetGroupSettings {
  std::string route_kind;                  ///< "TCPRoute"; empty for the default of every route
  std::optional<std::string> target_type;  ///< "instance", "ip"
  std::optional<std::string> protocol;     ///< "TCP", "TLS", "HTTP"
  std::map<std::string, std::string> attributes;
};

/// An object other than a Service that makes a load balancer, or says how one treats the client's address. Plain data;
/// only the fields of its kind are filled in.
struct LoadBalancerObject {
  std::string kind;  ///< Gateway, TargetGroupBinding, TargetGroupConfiguration, IngressController, Ingress
  std::string namespace_name;
  std::string name;
  std::map<std::string, std::string> annotations;
  std::string class_name;                          ///< of a Gateway, Ingress
  std::string controller;                          ///< of the class, where that was read too
  std::string target_type;                         ///< of a TargetGroupBinding
  std::string publishing;                          ///< of an IngressController: "LoadBalancerService"
  std::string provider;                            ///< likewise: "AWS NLB", "Azure"
  std::vector<TargetGroupSettings> target_groups;  ///< of a TargetGroupConfiguration: the default first

  /// "namespace/name"
  [[nodiscard]] std::string full_name() const { return namespace_name + "/" + name; }
};

/// What can be said from the object alone: most often what to look at. The `fix` of what is unknown says that.
Assessment assess(const LoadBalancerObject& object);

}  // namespace hairpind
