// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/objects.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hairpind {
namespace {

using Json = nlohmann::json;

const Json& member(const Json& object, const char* key) {
  static const Json none;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? none : *found;
}

std::string text(const Json& object, const char* key) {
  const Json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

std::uint16_t port_number(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (!value.is_number_integer()) {
    return 0;
  }
  const auto number = value.get<std::int64_t>();
  return number > 0 && number <= 65535 ? static_cast<std::uint16_t>(number) : std::uint16_t{0};
}

bool truth(const Json& object, const char* key) {
  const Json& value = member(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::map<std::string, std::string> string_map(const Json& object, const char* key) {
  std::map<std::string, std::string> result;
  const Json& map = member(object, key);
  if (map.is_object()) {
    for (const auto& [name, value] : map.items()) {
      if (value.is_string()) {
        result.emplace(name, value.get<std::string>());
      }
    }
  }
  return result;
}

template <typename Visit>
void for_each(const Json& object, const char* key, Visit visit) {
  const Json& list = member(object, key);
  if (list.is_array()) {
    for (const Json& entry : list) {
      visit(entry);
    }
  }
}

// A Deployment's pods are owned by a ReplicaSet that is named after it and the hash of its template, which the pods
// carry as a label: no need to read ReplicaSets.
std::string workload_of(const Json& metadata) {
  std::string kind;
  std::string name;
  for_each(metadata, "ownerReferences", [&](const Json& owner) {
    if (truth(owner, "controller") || kind.empty()) {
      kind = text(owner, "kind");
      name = text(owner, "name");
    }
  });
  if (kind == "ReplicaSet") {
    const std::string hash = text(member(metadata, "labels"), "pod-template-hash");
    const std::string suffix = "-" + hash;
    if (!hash.empty() && name.ends_with(suffix)) {
      return "Deployment/" + name.substr(0, name.size() - suffix.size());
    }
  }
  return kind.empty() ? "" : kind + "/" + name;
}

void add_address(const std::string& address, std::vector<IpAddress>& addresses) {
  if (const auto parsed = IpAddress::parse(address);
      parsed && std::ranges::find(addresses, *parsed) == addresses.end()) {
    addresses.push_back(*parsed);
  }
}

}  // namespace

std::optional<Pod> parse_pod(const Json& object) {
  const Json& metadata = member(object, "metadata");
  const Json& spec = member(object, "spec");
  const Json& status = member(object, "status");
  Pod pod;
  pod.uid = text(metadata, "uid");
  pod.ref = {
      .namespace_name = text(metadata, "namespace"), .name = text(metadata, "name"), .workload = workload_of(metadata)};
  if (pod.ref.name.empty() || pod.ref.namespace_name.empty()) {
    return std::nullopt;
  }
  pod.host_network = truth(spec, "hostNetwork");
  pod.node_name = text(spec, "nodeName");
  pod.labels = string_map(metadata, "labels");
  const std::string phase = text(status, "phase");
  pod.finished = phase == "Succeeded" || phase == "Failed";
  for_each(status, "conditions", [&](const Json& condition) {
    if (text(condition, "type") == "Ready") {
      pod.ready = text(condition, "status") == "True";
    }
  });
  add_address(text(status, "podIP"), pod.addresses);
  for_each(status, "podIPs", [&](const Json& entry) { add_address(text(entry, "ip"), pod.addresses); });
  for_each(spec, "containers", [&](const Json& container) {
    for_each(container, "ports", [&](const Json& port) {
      const std::string protocol = text(port, "protocol");
      if (const std::uint16_t number = port_number(port, "containerPort");
          number != 0 && (protocol.empty() || protocol == "TCP")) {
        pod.tcp_ports.push_back(number);
      }
    });
  });
  return pod;
}

std::optional<Service> parse_service(const Json& object) {
  const Json& metadata = member(object, "metadata");
  const Json& spec = member(object, "spec");
  Service service;
  service.uid = text(metadata, "uid");
  service.namespace_name = text(metadata, "namespace");
  service.name = text(metadata, "name");
  if (service.name.empty()) {
    return std::nullopt;
  }
  service.annotations = string_map(metadata, "annotations");
  // The whole manifest once more, as kubectl apply leaves it: large, and nothing to us.
  service.annotations.erase("kubectl.kubernetes.io/last-applied-configuration");
  service.type = text(spec, "type");
  service.load_balancer_class = text(spec, "loadBalancerClass");
  service.external_traffic_policy = text(spec, "externalTrafficPolicy");
  service.selector = string_map(spec, "selector");
  for_each(spec, "ports", [&](const Json& entry) {
    ServicePort port;
    port.name = text(entry, "name");
    if (const std::string protocol = text(entry, "protocol"); !protocol.empty()) {
      port.protocol = protocol;
    }
    port.port = port_number(entry, "port");
    port.node_port = port_number(entry, "nodePort");
    if (port.port != 0) {
      service.ports.push_back(std::move(port));
    }
  });
  for_each(member(member(object, "status"), "loadBalancer"), "ingress", [&](const Json& entry) {
    service.ingress.push_back(
        {.ip = text(entry, "ip"), .hostname = text(entry, "hostname"), .ip_mode = text(entry, "ipMode")});
  });
  return service;
}

std::set<IpAddress> parse_node_addresses(const Json& object) {
  std::set<IpAddress> addresses;
  for_each(member(object, "status"), "addresses", [&](const Json& entry) {
    if (const auto address = IpAddress::parse(text(entry, "address"))) {
      addresses.insert(*address);
    }
  });
  return addresses;
}

}  // namespace hairpind
