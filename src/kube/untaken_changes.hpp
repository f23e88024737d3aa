// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "hairpind/core/cluster.hpp"

namespace hairpind {

/// What has changed in the cluster since somebody last took it: of each object only the newest, however long nobody
/// looks. Keys are "namespace/name". Thread safe.
class UntakenChanges {
 public:
  void upsert(Pod pod);
  void remove_pod(const std::string& key);
  void upsert(Service service);
  void remove_service(const std::string& key);
  void set(Node node);

  ClusterChanges take();

 private:
  std::mutex mutex_;
  std::map<std::string, Pod> pods_;
  std::set<std::string> removed_pods_;
  std::map<std::string, Service> services_;
  std::set<std::string> removed_services_;
  std::optional<Node> node_;
};

}  // namespace hairpind
