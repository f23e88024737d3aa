// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/core/load_balancer_object.hpp"

namespace hairpind {

/// The group of an apiVersion, empty for the core group.
std::string_view group_of(std::string_view api_version);

/// A Gateway, TargetGroupBinding, TargetGroupConfiguration, IngressController or Ingress of the API group that the kind
/// is known by; nullopt for any other object, and for one without a name.
std::optional<LoadBalancerObject> parse_load_balancer_object(const nlohmann::json& object);

/// The controller of a GatewayClass or IngressClass, by "Kind/name" of what refers to it: "Gateway/aws-nlb".
struct ClassController {
  std::string key;
  std::string controller;
};
std::optional<ClassController> parse_class(const nlohmann::json& object);

/// Fills in the controllers of the classes that were read.
void name_controller(LoadBalancerObject& object, const std::map<std::string, std::string>& controllers);

}  // namespace hairpind
