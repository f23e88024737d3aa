// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/objects.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "exec_credential.hpp"
#include "hairpind/core/preservation.hpp"
#include "hairpind/core/printable.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostPorts = 64;      // AWS has 50 listeners a load balancer, the others fewer
constexpr std::size_t kMostIngresses = 32;  // one for each zone and family
constexpr std::size_t kMostAddresses = 16;  // of a pod
constexpr std::size_t kMostClaimed = 8;     // by a pod: room in the kernel's table is shared with all others
constexpr std::size_t kLongestNetworkStatus = 16384;
constexpr std::size_t kMostLabelBytes = 4096;
constexpr std::size_t kMostJudgedBytes = 4096;
constexpr std::size_t kLongestAnnotation = 1024;
constexpr std::size_t kLongestZone = 63;  // a label's value
constexpr std::size_t kLongestProviderId = 256;
constexpr std::size_t kMostIdentityLabels = 32;
constexpr std::size_t kMostIdentityBytes = 2048;
constexpr std::size_t kLongestIdentityLabel = 400;  // of a source, a key of 317 and a value of 63

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

/// The first of its entries, as many as fit into so many bytes.
std::map<std::string, std::string> string_map(const Json& object, const char* key, std::size_t most_bytes) {
  std::map<std::string, std::string> result;
  const Json& map = member(object, key);
  std::size_t bytes = 0;
  if (map.is_object()) {
    for (const auto& [name, value] : map.items()) {
      if (!value.is_string()) {
        continue;
      }
      const auto& content = value.get_ref<const std::string&>();
      bytes += name.size() + content.size();
      if (bytes > most_bytes) {
        break;
      }
      result.emplace(name, content);
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
      parsed && addresses.size() < kMostAddresses && std::ranges::find(addresses, *parsed) == addresses.end()) {
    addresses.push_back(*parsed);
  }
}

// Multus (k8snetworkplumbingwg, "Network Attachment Definition" 1.3, 5.1): what the pod has on each network.
constexpr const char* kNetworkStatus = "k8s.v1.cni.cncf.io/network-status";

std::vector<IpAddress> parse_network_status(const Json& metadata, const std::vector<IpAddress>& known) {
  std::vector<IpAddress> claimed;
  const std::string annotation = text(member(metadata, "annotations"), kNetworkStatus);
  if (annotation.empty() || annotation.size() > kLongestNetworkStatus) {
    return claimed;
  }
  const Json networks = Json::parse(annotation, nullptr, false);
  if (!networks.is_array()) {
    return claimed;
  }
  for (const Json& network : networks) {
    for_each(network, "ips", [&](const Json& address) {
      if (const auto parsed = IpAddress::parse(address.is_string() ? address.get<std::string>() : "");
          parsed && !parsed->is_link_local() && claimed.size() < kMostClaimed &&
          std::ranges::find(known, *parsed) == known.end() && std::ranges::find(claimed, *parsed) == claimed.end()) {
        claimed.push_back(*parsed);
      }
    });
  }
  return claimed;
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
  pod.labels = string_map(metadata, "labels", kMostLabelBytes);
  const std::string phase = text(status, "phase");
  pod.finished = phase == "Succeeded" || phase == "Failed";
  for_each(status, "conditions", [&](const Json& condition) {
    if (text(condition, "type") == "Ready") {
      pod.ready = text(condition, "status") == "True";
    }
  });
  add_address(text(status, "podIP"), pod.addresses);
  for_each(status, "podIPs", [&](const Json& entry) { add_address(text(entry, "ip"), pod.addresses); });
  pod.claimed = parse_network_status(metadata, pod.addresses);
  for_each(spec, "containers", [&](const Json& container) {
    for_each(container, "ports", [&](const Json& port) {
      const std::string protocol = text(port, "protocol");
      if (const std::uint16_t number = port_number(port, "containerPort");
          number != 0 && (protocol.empty() || protocol == "TCP") && pod.tcp_ports.size() < kMostPorts) {
        pod.tcp_ports.push_back(number);
      }
    });
  });
  return pod;
}

std::chrono::sys_seconds creation_time(const Json& object) {
  return parse_time(text(member(object, "metadata"), "creationTimestamp")).value_or(std::chrono::sys_seconds());
}

std::optional<Service> parse_service(const Json& object) {
  const Json& metadata = member(object, "metadata");
  const Json& spec = member(object, "spec");
  Service service;
  service.namespace_name = text(metadata, "namespace");
  service.name = text(metadata, "name");
  if (service.name.empty()) {
    return std::nullopt;
  }
  service.created = creation_time(object);
  service.proxy_name = text(member(metadata, "labels"), "service.kubernetes.io/service-proxy-name");
  service.annotations = string_map(metadata, "annotations", std::numeric_limits<std::size_t>::max());
  // The whole manifest once more, as kubectl apply leaves it: large, and nothing to us.
  service.annotations.erase("kubectl.kubernetes.io/last-applied-configuration");
  service.type = text(spec, "type");
  service.load_balancer_class = text(spec, "loadBalancerClass");
  service.external_traffic_policy = text(spec, "externalTrafficPolicy");
  service.selector = string_map(spec, "selector", kMostLabelBytes);
  for_each(spec, "ports", [&](const Json& entry) {
    ServicePort port;
    port.name = text(entry, "name");
    if (const std::string protocol = text(entry, "protocol"); !protocol.empty()) {
      port.protocol = protocol;
    }
    port.port = port_number(entry, "port");
    port.node_port = port_number(entry, "nodePort");
    port.target_port = port_number(entry, "targetPort");
    if (port.port != 0 && service.ports.size() < kMostPorts) {
      service.ports.push_back(std::move(port));
    }
  });
  for_each(member(member(object, "status"), "loadBalancer"), "ingress", [&](const Json& entry) {
    if (service.ingress.size() < kMostIngresses) {
      service.ingress.push_back(
          {.ip = text(entry, "ip"), .hostname = text(entry, "hostname"), .ip_mode = text(entry, "ipMode")});
    }
  });
  return service;
}

void keep_what_is_judged(Service& service) {
  std::size_t bytes = 0;
  std::map<std::string, std::string> kept;
  for (auto& [name, value] : service.annotations) {
    if (!is_judged(name)) {
      continue;
    }
    value.resize(std::min(value.size(), kLongestAnnotation));
    value.shrink_to_fit();
    bytes += name.size() + value.size();
    if (bytes > kMostJudgedBytes) {
      break;
    }
    kept.emplace(name, std::move(value));
  }
  service.annotations = std::move(kept);
}

std::optional<KubernetesVersion> parse_kubelet_version(const Json& object) {
  return KubernetesVersion::parse(text(member(member(object, "status"), "nodeInfo"), "kubeletVersion"));
}

Node parse_node(const Json& object) {
  Node node;
  for_each(member(object, "status"), "addresses", [&](const Json& entry) {
    if (const auto address = IpAddress::parse(text(entry, "address"))) {
      node.addresses.insert(*address);
    }
  });
  const Json& labels = member(member(object, "metadata"), "labels");
  node.zone = printable(text(labels, "topology.kubernetes.io/zone"), kLongestZone);
  node.provider_id = printable(text(member(object, "spec"), "providerID"), kLongestProviderId);
  return node;
}

std::vector<std::string> parse_cilium_identity(const Json& object) {
  std::vector<std::string> labels;
  for (const auto& [name, value] : string_map(object, "security-labels", kMostIdentityBytes)) {
    if (labels.size() < kMostIdentityLabels) {
      std::string label = name;
      if (!value.empty()) {
        label.append("=").append(value);
      }
      labels.push_back(printable(label, kLongestIdentityLabel));
    }
  }
  return labels;
}

}  // namespace hairpind
