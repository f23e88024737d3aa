// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "cluster_sync.hpp"
#include "configuration.hpp"
#include "exposure_watch.hpp"
#include "hairpind/core/cilium_identities.hpp"
#include "hairpind/core/kubernetes_events.hpp"
#include "hairpind/kube/cilium_identity_reader.hpp"
#include "hairpind/kube/cluster_watch.hpp"
#include "hairpind/kube/event_writer.hpp"
#include "hairpind/kube/load_balancer_search.hpp"
#include "mismatch_books.hpp"

namespace hairpind {

/// The parts that there are only in Kubernetes.
///
/// Called by: the event loop; the watch has threads of its own, which call `sync.is_news()` and on_news. Plain data.
struct InCluster {
  /// Begins to follow the API server that the configuration or the pod's service account names. Null where there is
  /// none, with a line in the log where that may be a mistake. `on_news`, from any thread: call take().
  static Result<std::unique_ptr<InCluster>> follow(const Configuration& configuration, std::function<void()> on_news);

  explicit InCluster(std::string node) : exposure(std::move(node)) {}
  /// Brings `sync` up to now.
  void take(SinceBoot now);
  /// Has the API server asked about those that are not known.
  void ask(const std::set<std::uint32_t>& cilium_identities, SinceBoot now);
  /// Has the API server asked what else names the attempt's load balancer, if no Service and no Gateway does.
  void look_up(const Attempt& attempt) const;
  /// Has the API server told of alerts that have been written, if that was asked for, and of what is still to be told
  /// of earlier ones: with none, at least once a second.
  void tell(const std::vector<Alert>& alerts, SinceBoot now);
  /// What became of that; nothing where it was not asked for.
  [[nodiscard]] std::optional<KubernetesEventCounts> told() const;
  /// Brings `identities`, and what was found out about load balancers, up to now.
  void take_answers();

  ClusterSync sync;
  MismatchBooks books;
  ExposureWatch exposure;
  CiliumIdentities identities;
  KubernetesEvents events;
  std::unique_ptr<CiliumIdentityReader> identity_reader;  ///< null when the agent leaves, as are the next three
  std::unique_ptr<EventWriter> event_writer;              ///< null, too, unless asked for
  std::unique_ptr<LoadBalancerSearch> search;
  std::unique_ptr<ClusterWatch> watch;  ///< last: its threads call the others
};

}  // namespace hairpind
