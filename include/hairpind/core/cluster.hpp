// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/alert.hpp"
#include "hairpind/core/event.hpp"
#include "hairpind/core/frontend.hpp"
#include "hairpind/core/kubernetes.hpp"

namespace hairpind {

/// What changed in the cluster since the last look: values, in the order that makes the last one count.
struct ClusterChanges {
  // NOLINTBEGIN(readability-redundant-member-init): g++ warns of designated initializers that leave them out
  std::vector<Pod> pods{};                      ///< new or changed, of this node
  std::vector<PodRef> removed_pods{};           ///< by namespace and name
  std::vector<Service> services{};              ///< new or changed, of type LoadBalancer; Gateways
  std::vector<std::string> removed_services{};  ///< Service::full_name()
  std::optional<Node> node{};
  // NOLINTEND(readability-redundant-member-init)

  [[nodiscard]] bool empty() const {
    return pods.empty() && removed_pods.empty() && services.empty() && removed_services.empty() && !node;
  }
};

/// What is to be watched for otherwise than before.
struct WatchChanges {
  std::vector<Frontend> added;
  std::vector<Frontend> removed;
  std::set<std::string> new_hostnames;
  std::set<std::string> old_hostnames;
};

/// The cluster as this node sees it: names for addresses, load balancers to watch for.
///
/// Pure: time comes in as arguments. Not thread safe; owned by the event loop.
class Cluster {
 public:
  /// A pod that is gone keeps its address for so long: its last packets are still under way.
  static constexpr std::chrono::seconds kGrace{60};

  Cluster() = default;
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  void apply(const ClusterChanges& changes, SinceBoot now);
  /// The addresses of one host name, as DNS has them now; kept while a Service publishes the name.
  void set_resolution(const std::string& hostname, const std::set<IpAddress>& addresses);

  /// Addresses that the API server does not have, each with one of the same pod's that it has: of two devices whose
  /// other ends are in one network namespace.
  void set_further_addresses(std::map<IpAddress, IpAddress> addresses) { further_ = std::move(addresses); }

  /// What was found out about a load balancer that nothing publishes here; nothing if nothing was.
  void set_found(const Endpoint& load_balancer, const std::optional<LoadBalancerRef>& ref);

  /// The pod that had this address when the SYN was sent; on the node's own address, the host-network pod that
  /// declares the port.
  [[nodiscard]] std::optional<PodRef> pod_at(const Endpoint& endpoint, SinceBoot time) const;
  /// Those of this node's pods, as they are now; of host-network pods none. What a pod only claims counts where nobody
  /// else has it or claims it.
  [[nodiscard]] std::set<IpAddress> pod_addresses() const;
  /// The pod by this name, as it is now.
  [[nodiscard]] const Pod* pod(const PodRef& ref) const;
  /// The Service that publishes this address and port, else the Gateway; of several the oldest, which nobody can become
  /// afterwards. Else what was found.
  [[nodiscard]] std::optional<LoadBalancerRef> load_balancer_at(const Endpoint& endpoint) const;
  /// Does a Service or a Gateway publish it?
  [[nodiscard]] bool is_published(const Endpoint& endpoint) const { return load_balancers_.contains(endpoint); }
  /// That Service, if one publishes it itself.
  [[nodiscard]] const Service* publisher_at(const Endpoint& endpoint) const;
  /// The other Services that publish it too, oldest first: whose it is in truth the API does not say.
  [[nodiscard]] std::vector<std::string> rivals_at(const Endpoint& endpoint) const;
  /// The Service with this node port.
  [[nodiscard]] const Service* service_with_node_port(std::uint16_t node_port) const;
  [[nodiscard]] const Service* service(const std::string& full_name) const;
  /// When this Service was last told of otherwise than before; what was seen of its load balancer earlier may be of
  /// another setting. Nothing for one that is not there.
  [[nodiscard]] std::optional<SinceBoot> service_changed(const std::string& full_name) const;
  /// Since the last call. What was there in between only, or is there again, may be among the removed or the added.
  [[nodiscard]] WatchChanges take_watch_changes();
  /// Every load balancer found, by address and port.
  [[nodiscard]] std::set<Frontend> frontends() const;
  /// The ready pods of this node that the Service selects.
  [[nodiscard]] std::vector<PodRef> local_backends(const Service& service) const;
  /// This node, as the API tells of it; empty before it has.
  [[nodiscard]] const Node& node() const { return node_; }
  /// Whether any pod of this node is one that the Service selects, ready or not.
  [[nodiscard]] bool has_backend(const Service& service) const;
  /// Whether this pod, or another one of its workload, is on this node.
  [[nodiscard]] bool has_like(const PodRef& pod) const;

 private:
  struct Tenancy {
    PodRef pod;
    SinceBoot since;                 ///< when it was first told with this address
    std::optional<SinceBoot> until;  ///< gone since; kept for kGrace
  };
  /// A Service that publishes an address: itself, or by a host name (else null). Both live in the maps below.
  struct Claim {
    const Service* service;
    const std::string* hostname;

    auto operator<=>(const Claim&) const = default;
    [[nodiscard]] bool older_than(const Claim& other) const;
  };

  using PodKey = std::pair<std::string, std::string>;  ///< namespace and name

  void change_claims(const Pod& pod, bool add);
  [[nodiscard]] std::optional<PodRef> claimant_of(const IpAddress& address) const;
  [[nodiscard]] bool is_load_balancer(const IpAddress& address) const;
  void upsert_pod(const Pod& pod, SinceBoot now);
  void remove_pod(const PodRef& ref, SinceBoot now);
  void leave(const IpAddress& address, const PodRef& ref, SinceBoot now);
  void forget_gone(SinceBoot now);
  void index(const Service& service);
  void unindex(const Service& service);
  [[nodiscard]] std::set<IpAddress> addresses_of(const std::string& hostname) const;
  void add_frontends(const Claim& claim, const IpAddress& address);
  void remove_frontends(const Claim& claim, const IpAddress& address);

  std::map<PodKey, Pod> pods_;
  std::map<IpAddress, std::vector<Tenancy>> tenancies_;  ///< newest last
  std::map<IpAddress, std::set<PodKey>> claims_;         ///< of pods_
  std::map<IpAddress, IpAddress> further_;
  Node node_;
  std::map<std::string, Service> services_;                         ///< by full name
  std::map<std::string, SinceBoot> service_changed_;                ///< of each of services_
  std::map<Endpoint, std::vector<Claim>> load_balancers_;           ///< oldest first: two Services may share an address
  std::map<std::uint16_t, std::set<std::string>> node_ports_;       ///< -> full names
  std::map<std::string, std::set<std::string>> hostname_services_;  ///< -> full names
  std::map<std::string, std::set<IpAddress>> resolutions_;
  std::map<Endpoint, LoadBalancerRef> found_;
  std::set<Endpoint> touched_;               ///< of load_balancers_, since take_watch_changes()
  std::set<std::string> touched_hostnames_;  ///< of hostname_services_, likewise
};

}  // namespace hairpind
