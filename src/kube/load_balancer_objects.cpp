// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/load_balancer_objects.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "json_reading.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;

struct Kind {
  std::string_view group;
  std::string_view name;
};

constexpr std::array kKinds = {
    Kind{"gateway.networking.k8s.io", "Gateway"},
    Kind{"elbv2.k8s.aws", "TargetGroupBinding"},
    Kind{"gateway.k8s.aws", "TargetGroupConfiguration"},
    Kind{"operator.openshift.io", "IngressController"},
    Kind{"networking.k8s.io", "Ingress"},
    Kind{"extensions", "Ingress"},  // before 1.22
};

std::optional<std::string> optional_text(const Json& object, const char* pointer) {
  std::string text = text_at(object, pointer);
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

TargetGroupSettings settings_of(const Json& object, std::string route_kind) {
  TargetGroupSettings settings{.route_kind = std::move(route_kind),
                               .target_type = optional_text(object, "/targetType"),
                               .protocol = optional_text(object, "/protocol"),
                               .attributes = {}};
  const auto attributes = object.is_object() ? object.find("targetGroupAttributes") : object.end();
  if (object.is_object() && attributes != object.end() && attributes->is_array()) {
    for (const Json& attribute : *attributes) {
      settings.attributes[text_at(attribute, "/key")] = text_at(attribute, "/value");
    }
  }
  return settings;
}

std::vector<TargetGroupSettings> target_groups_of(const Json& spec) {
  std::vector<TargetGroupSettings> groups;
  groups.push_back(settings_of(spec.is_object() ? spec.value("defaultConfiguration", Json()) : Json(), ""));
  const Json routes = spec.is_object() ? spec.value("routeConfigurations", Json()) : Json();
  if (routes.is_array()) {
    for (const Json& route : routes) {
      groups.push_back(settings_of(route.is_object() ? route.value("targetGroupProps", Json()) : Json(),
                                   text_at(route, "/routeIdentifier/kind")));
    }
  }
  return groups;
}

std::string ingress_class_of(const Json& object) {
  const std::string name = text_at(object, "/spec/ingressClassName");
  return name.empty() ? text_at(object, "/metadata/annotations/kubernetes.io~1ingress.class") : name;
}

std::string provider_of(const Json& object) {
  const std::string provider = text_at(object, "/spec/endpointPublishingStrategy/loadBalancer/providerParameters/type");
  const std::string type = text_at(object, "/spec/endpointPublishingStrategy/loadBalancer/providerParameters/aws/type");
  return type.empty() ? provider : provider + " " + type;
}

}  // namespace

std::string_view group_of(std::string_view api_version) {
  const std::size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? "" : api_version.substr(0, slash);
}

std::optional<LoadBalancerObject> parse_load_balancer_object(const Json& object) {
  LoadBalancerObject parsed;
  parsed.kind = text_at(object, "/kind");
  const std::string version = text_at(object, "/apiVersion");
  const bool known = std::ranges::any_of(
      kKinds, [&](const Kind& kind) { return kind.name == parsed.kind && kind.group == group_of(version); });
  parsed.name = text_at(object, "/metadata/name");
  if (!known || parsed.name.empty()) {
    return std::nullopt;
  }
  parsed.namespace_name = text_at(object, "/metadata/namespace");
  if (const auto annotations = object["metadata"].find("annotations");
      annotations != object["metadata"].end() && annotations->is_object()) {
    for (const auto& [key, value] : annotations->items()) {
      if (value.is_string()) {
        parsed.annotations.emplace(key, value.get<std::string>());
      }
    }
  }
  if (parsed.kind == "Gateway") {
    parsed.class_name = text_at(object, "/spec/gatewayClassName");
  } else if (parsed.kind == "Ingress") {
    parsed.class_name = ingress_class_of(object);
  } else if (parsed.kind == "TargetGroupBinding") {
    parsed.target_type = text_at(object, "/spec/targetType");
  } else if (parsed.kind == "IngressController") {
    parsed.publishing = text_at(object, "/spec/endpointPublishingStrategy/type");
    parsed.provider = provider_of(object);
  } else {
    parsed.target_groups = target_groups_of(object.value("spec", Json()));
  }
  return parsed;
}

std::optional<ClassController> parse_class(const Json& object) {
  const std::string kind = text_at(object, "/kind");
  const std::string name = text_at(object, "/metadata/name");
  if (name.empty()) {
    return std::nullopt;
  }
  if (kind == "GatewayClass") {
    return ClassController{.key = "Gateway/" + name, .controller = text_at(object, "/spec/controllerName")};
  }
  if (kind == "IngressClass") {
    return ClassController{.key = "Ingress/" + name, .controller = text_at(object, "/spec/controller")};
  }
  return std::nullopt;
}

void name_controller(LoadBalancerObject& object, const std::map<std::string, std::string>& controllers) {
  if (const auto found = controllers.find(object.kind + "/" + object.class_name); found != controllers.end()) {
    object.controller = found->second;
  }
}

}  // namespace hairpind
