// SPDX-License-Identifier: Apache-2.0
#include "cluster_sync.hpp"

namespace hairpind {

void ClusterSync::take(const Source& source, SinceBoot now) {
  // In this order: what comes while this runs is news again, and "in step" is not said of what has not been taken.
  told_ = false;
  const bool synced = source.synced();
  cluster_.apply(source.take_changes(), now);
  synced_ = synced;
}

WatchChanges ClusterSync::take_watch_changes(const std::set<std::string>& kept) {
  WatchChanges changes = cluster_.take_watch_changes();
  std::erase_if(changes.old_hostnames, [&](const std::string& name) { return kept.contains(name); });
  return changes;
}

}  // namespace hairpind
