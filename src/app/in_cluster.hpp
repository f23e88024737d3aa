// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "cluster_sync.hpp"
#include "configuration.hpp"
#include "exposure_watch.hpp"
#include "hairpind/kube/cluster_watch.hpp"
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

  ClusterSync sync;
  MismatchBooks books;
  ExposureWatch exposure;
  std::unique_ptr<ClusterWatch> watch;  ///< last: its threads call the others
};

}  // namespace hairpind
