// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/kubernetes.hpp"
#include "hairpind/core/load_balancer_object.hpp"
#include "hairpind/core/target_group_binding.hpp"

namespace hairpind {

/// The group of an apiVersion, empty for the core group.
std::string_view group_of(std::string_view api_version);

/// A Gateway, TargetGroupBinding, TargetGroupConfiguration, IngressController or Ingress of the API group that the kind
/// is known by; nullopt for any other object, and for one without a name.
std::optional<LoadBalancerObject> parse_load_balancer_object(const nlohmann::json& object);

/// What the agent uses of a gateway.networking.k8s.io/v1 Gateway: the addresses and ports that it publishes, cut as a
/// Service's.
std::optional<Service> parse_gateway(const nlohmann::json& object);
/// Of an elbv2.k8s.aws/v1beta1 TargetGroupBinding; nullopt for one that names no Service.
std::optional<TargetGroupBinding> parse_target_group_binding(const nlohmann::json& object);
/// Has the status of this networking.k8s.io/v1 Ingress the address?
bool is_published_by_ingress(const nlohmann::json& object, const IpAddress& address);

/// The controller of a GatewayClass or IngressClass, by "Kind/name" of what refers to it: "Gateway/aws-nlb".
struct ClassController {
  std::string key;
  std::string controller;
};
std::optional<ClassController> parse_class(const nlohmann::json& object);

/// Fills in the controllers of the classes that were read.
void name_controller(LoadBalancerObject& object, const std::map<std::string, std::string>& controllers);

}  // namespace hairpind
