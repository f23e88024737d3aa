// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/core/address.hpp"

namespace hairpind {

/// Who a pod is, for a person: the names that alerts carry.
struct PodRef {
  std::string namespace_name;
  std::string name;
  std::string workload;  ///< "Deployment/web", "DaemonSet/agent"; empty for a bare pod

  auto operator<=>(const PodRef&) const = default;
};

/// The part of a v1 Pod that hairpind uses.
struct Pod {
  std::string uid;
  PodRef ref;
  bool host_network = false;
  bool finished = false;  ///< phase Succeeded or Failed: its address may be another pod's by now
  bool ready = false;     ///< condition Ready
  std::map<std::string, std::string> labels;
  std::vector<IpAddress> addresses;      ///< status.podIPs
  std::vector<IpAddress> claimed;        ///< on other networks, by an annotation: whoever may change the pod says so
  std::vector<std::uint16_t> tcp_ports;  ///< declared container ports, TCP
  std::string node_name;

  bool operator==(const Pod&) const = default;
};

/// The part of a v1 Node that hairpind uses.
struct Node {
  std::set<IpAddress> addresses;
  std::string zone;         ///< its label topology.kubernetes.io/zone; empty where it has none
  std::string provider_id;  ///< its machine for the cloud, "aws:///eu-west-1a/i-0abc"; empty likewise

  bool operator==(const Node&) const = default;
};

/// One port of a v1 Service.
struct ServicePort {
  std::string name;
  std::string protocol = "TCP";  ///< TCP, UDP, SCTP
  std::uint16_t port = 0;
  std::uint16_t node_port = 0;    ///< 0 = none allocated
  std::uint16_t target_port = 0;  ///< of the pods; 0 = known by name only

  bool operator==(const ServicePort&) const = default;
};

/// One entry of status.loadBalancer.ingress[]: an address or a host name.
struct ServiceIngress {
  std::string ip;
  std::string hostname;
  std::string ip_mode;  ///< "VIP" (what an empty one means, KEP-1860) or "Proxy"

  bool operator==(const ServiceIngress&) const = default;
};

/// The part of a v1 Service that hairpind uses. A Gateway publishes load balancers in the same way, and is kept as one
/// with its `kind`.
struct Service {
  std::string_view kind;  ///< a literal: "" for a Service, "Gateway"
  std::string namespace_name;
  std::string name;
  std::chrono::sys_seconds created;  ///< by the API server's clock; its epoch where not known
  std::string type;                  ///< ClusterIP, NodePort, LoadBalancer, ExternalName
  std::string load_balancer_class;   ///< spec.loadBalancerClass
  std::string external_traffic_policy;
  std::string proxy_name;  ///< label service.kubernetes.io/service-proxy-name: kube-proxy leaves the Service alone
  std::map<std::string, std::string> annotations;
  std::map<std::string, std::string> selector;
  std::vector<ServicePort> ports;
  std::vector<ServiceIngress> ingress;

  bool operator==(const Service&) const = default;

  /// "namespace/name"; of another kind "Gateway namespace/name"
  [[nodiscard]] std::string full_name() const {
    return (kind.empty() ? "" : std::string(kind) + " ") + namespace_name + "/" + name;
  }
  /// Is the pod one of this Service's backends? A Service without a selector selects none.
  [[nodiscard]] bool selects(const Pod& pod) const;
};

/// "v1.31.4-eks-1a2b3c": what is compared is 1.31.
struct KubernetesVersion {
  unsigned major = 0;
  unsigned minor = 0;

  auto operator<=>(const KubernetesVersion&) const = default;

  static std::optional<KubernetesVersion> parse(std::string_view text);
  /// "1.31"
  [[nodiscard]] std::string to_string() const;
};

}  // namespace hairpind
