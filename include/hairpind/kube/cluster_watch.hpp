// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "hairpind/core/cluster.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/kube/cluster_access.hpp"

namespace hairpind {

/// Follows this node's pods, all Services of type LoadBalancer, the node itself and, where the cluster has them, all
/// Gateways, each by a watch in a thread of its own, and gathers what changed until somebody takes it.
class ClusterWatch {
 public:
  /// Both are called from the watches' threads. OnChange: take_changes() has something, or synced() changed.
  /// OnTrouble: once when a watch falls out of step, with the reason, and once with an empty one when it is back.
  using OnChange = std::function<void()>;
  using OnTrouble = std::function<void(const std::string& resource, const std::string& why)>;

  static Result<std::unique_ptr<ClusterWatch>> start(const ClusterAccess& access, const std::string& node_name,
                                                     OnChange on_change, OnTrouble on_trouble);
  ~ClusterWatch();
  ClusterWatch(const ClusterWatch&) = delete;
  ClusterWatch& operator=(const ClusterWatch&) = delete;

  /// Everything since the last call. Thread safe.
  ClusterChanges take_changes();
  /// All watches are in step with the API server. Thread safe.
  [[nodiscard]] bool synced() const;

 private:
  struct State;
  explicit ClusterWatch(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hairpind
