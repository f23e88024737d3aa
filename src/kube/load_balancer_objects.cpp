// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/load_balancer_objects.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "hairpind/core/printable.hpp"
#include "hairpind/kube/objects.hpp"
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

constexpr std::size_t kMostListeners = 64;  // the API's own limit
constexpr std::size_t kMostAddresses = 16;  // likewise
constexpr std::size_t kLongestName = 253;
constexpr std::size_t kLongestTargetGroup = 256;  // an ARN has 2048 at most, a target group's about 130

/// Visits the entries of the list at a JSON pointer.
template <typename Visit>
void for_each_at(const Json& object, const char* pointer, Visit visit) {
  const Json::json_pointer at(pointer);
  if (object.is_object() && object.contains(at) && object[at].is_array()) {
    std::ranges::for_each(object[at], visit);
  }
}

std::uint16_t port_at(const Json& object, const char* pointer) {
  const Json::json_pointer at(pointer);
  if (!object.is_object() || !object.contains(at) || !object[at].is_number_integer()) {
    return 0;
  }
  const auto number = object[at].get<std::int64_t>();
  return number > 0 && number <= 65535 ? static_cast<std::uint16_t>(number) : std::uint16_t{0};
}

}  // namespace

std::optional<Service> parse_gateway(const Json& object) {
  Service gateway;
  gateway.kind = "Gateway";
  gateway.namespace_name = text_at(object, "/metadata/namespace");
  gateway.name = text_at(object, "/metadata/name");
  if (gateway.name.empty()) {
    return std::nullopt;
  }
  gateway.created = creation_time(object);
  for_each_at(object, "/spec/listeners", [&](const Json& listener) {
    ServicePort port;
    port.port = port_at(listener, "/port");
    // HTTP, HTTPS, TLS and TCP alike.
    port.protocol = text_at(listener, "/protocol") == "UDP" ? "UDP" : "TCP";
    if (port.port != 0 && gateway.ports.size() < kMostListeners &&
        std::ranges::find(gateway.ports, port) == gateway.ports.end()) {
      gateway.ports.push_back(std::move(port));
    }
  });
  for_each_at(object, "/status/addresses", [&](const Json& address) {
    const std::string value = text_at(address, "/value");
    if (value.size() > kLongestName || gateway.ingress.size() == kMostAddresses) {
      return;
    }
    const bool is_name = text_at(address, "/type") == "Hostname";
    gateway.ingress.push_back({.ip = is_name ? "" : value, .hostname = is_name ? value : "", .ip_mode = "Proxy"});
  });
  return gateway;
}

std::optional<TargetGroupBinding> parse_target_group_binding(const Json& object) {
  TargetGroupBinding binding{.namespace_name = text_at(object, "/metadata/namespace"),
                             .name = text_at(object, "/metadata/name"),
                             .service = text_at(object, "/spec/serviceRef/name"),
                             .port = text_at(object, "/spec/serviceRef/port"),
                             .target_group = text_at(object, "/spec/targetGroupARN")};
  if (binding.name.empty() || binding.namespace_name.empty() || binding.service.empty()) {
    return std::nullopt;
  }
  if (binding.port.empty()) {
    binding.port = std::to_string(port_at(object, "/spec/serviceRef/port"));
  }
  if (binding.target_group.empty()) {
    binding.target_group = text_at(object, "/spec/targetGroupName");
  }
  binding.target_group = printable(binding.target_group, kLongestTargetGroup);
  binding.instances = text_at(object, "/spec/targetType") == "instance";
  return binding;
}

bool is_published_by_ingress(const Json& object, const IpAddress& address) {
  bool is_published = false;
  for_each_at(object, "/status/loadBalancer/ingress", [&](const Json& entry) {
    is_published = is_published || IpAddress::parse(text_at(entry, "/ip")) == address;
  });
  return is_published;
}

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
