// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "hairpind/core/cluster.hpp"
#include "hairpind/net/resolver.hpp"

namespace hairpind {

/// The cluster as the loop sees it, brought in step with what the watches gather.
///
/// Owns: the Cluster. Called by: the event loop, but for is_news(), which the watches' threads call. Never talks to the
/// API server or to DNS: changes and resolutions come in as values, what follows from them goes out as values.
class ClusterSync {
 public:
  /// Where changes come from: ClusterWatch, or a test.
  struct Source {
    std::function<ClusterChanges()> take_changes;
    std::function<bool()> synced;
  };

  /// A change has been gathered. True if nobody has been told since the last take(): then the caller tells the loop.
  [[nodiscard]] bool is_news() { return !told_.exchange(true); }
  /// Takes in what has been gathered.
  void take(const Source& source, SinceBoot now);
  /// As Cluster::set_further_addresses().
  void set_further_addresses(std::map<IpAddress, IpAddress> addresses) {
    cluster_.set_further_addresses(std::move(addresses));
  }
  /// As Cluster::set_found().
  void set_found(const Endpoint& load_balancer, const std::optional<LoadBalancerRef>& ref) {
    cluster_.set_found(load_balancer, ref);
  }
  void on_resolution(const Resolution& resolution) { cluster_.set_resolution(resolution.name, resolution.addresses); }

  /// What is to be watched for, and resolved, otherwise than before; without the names in `kept`, which others need.
  [[nodiscard]] WatchChanges take_watch_changes(const std::set<std::string>& kept);
  [[nodiscard]] const Cluster& cluster() const { return cluster_; }
  /// As of the last take(): in step is what is being watched.
  [[nodiscard]] bool synced() const { return synced_; }

 private:
  Cluster cluster_;
  bool synced_ = false;
  std::atomic<bool> told_ = false;
};

}  // namespace hairpind
