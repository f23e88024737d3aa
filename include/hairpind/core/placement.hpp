// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hairpind/core/cluster.hpp"
#include "hairpind/core/incident_tracker.hpp"
#include "hairpind/core/problem.hpp"

namespace hairpind {

/// What can be known of who is on this node.
struct NodeView {
  const Cluster* cluster = nullptr;                       ///< null: no Kubernetes
  bool synced = false;                                    ///< it is in step with the API server
  std::function<bool(std::uint32_t ifindex)> has_device;  ///< a pod goes with its device
};

/// Who has failed with one load balancer on this node, as plain data.
struct PlacementRecord {
  struct Party {
    std::optional<PodRef> pod;
    std::uint32_t ifindex = 0;  ///< of its device; 0: not known
    bool is_node = false;       ///< the node itself

    bool operator==(const Party&) const = default;
  };
  using Parties = std::map<IpAddress, Party>;

  Parties clients;
  Parties targets;
  bool remote_target = false;
  bool by_node_port = false;
  std::vector<std::string> target_names;

  bool operator==(const PlacementRecord&) const = default;
};

/// Who fails with one load balancer on this node, and whether they are still here: the clients of its incidents, and
/// its targets.
///
/// Targets are the ready pods that its Service selects, or, where the Service forwards from every node's port
/// (externalTrafficPolicy Cluster), the node. Without a Service they are the pods that were seen to answer, which go
/// with their devices. A target on another node, a server of the node itself and a view that is out of step are not
/// known. Pure; not thread safe; owned by the event loop.
class Placement {
 public:
  /// Clients, and targets, that are followed; if there are more, all of them are never known to be gone.
  static constexpr std::size_t kFollowed = 64;

  Placement() = default;
  /// Goes on with those that another agent on this node has known.
  explicit Placement(PlacementRecord before) : record_(std::move(before)) {}

  /// Takes note of an incident's client and responder, while names can be told.
  void add(const IncidentCount& incident, const NodeView& node);
  /// Looks where they are now.
  void look(const Endpoint& load_balancer, const NodeView& node);

  [[nodiscard]] Presence target() const { return target_; }
  [[nodiscard]] Presence clients() const { return clients_here_; }
  /// "namespace/name", or an address where no name is known; of targets as they were when last one was here.
  [[nodiscard]] const std::vector<std::string>& target_names() const { return record_.target_names; }
  [[nodiscard]] std::vector<std::string> client_names() const;
  [[nodiscard]] const PlacementRecord& record() const { return record_; }

 private:
  using Party = PlacementRecord::Party;
  using Parties = PlacementRecord::Parties;

  static void add(Parties& parties, const Endpoint& endpoint, const Party& party);
  static Presence where(const Party& party, const NodeView& node);
  static Presence where(const Parties& parties, const NodeView& node);
  static std::vector<std::string> names(const Parties& parties);
  Presence look_for_target(const Endpoint& load_balancer, const NodeView& node);

  PlacementRecord record_;
  Presence target_ = Presence::kUnknown;
  Presence clients_here_ = Presence::kUnknown;
};

}  // namespace hairpind
