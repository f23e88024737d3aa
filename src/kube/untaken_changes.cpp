// SPDX-License-Identifier: Apache-2.0
#include "untaken_changes.hpp"

#include <cstddef>
#include <utility>

namespace hairpind {
namespace {

PodRef ref_of(const std::string& key) {
  const std::size_t slash = key.find('/');
  return {.namespace_name = key.substr(0, slash), .name = key.substr(slash + 1), .workload = ""};
}

}  // namespace

void UntakenChanges::upsert(Pod pod) {
  std::string key = pod.ref.namespace_name + "/" + pod.ref.name;
  const std::scoped_lock lock(mutex_);
  // A removal that waits is of what was there before, and comes first.
  pods_.insert_or_assign(std::move(key), std::move(pod));
}

void UntakenChanges::remove_pod(const std::string& key) {
  const std::scoped_lock lock(mutex_);
  pods_.erase(key);
  removed_pods_.insert(key);
}

void UntakenChanges::upsert(Service service) {
  std::string key = service.full_name();
  const std::scoped_lock lock(mutex_);
  services_.insert_or_assign(std::move(key), std::move(service));
}

void UntakenChanges::remove_service(const std::string& key) {
  const std::scoped_lock lock(mutex_);
  services_.erase(key);
  removed_services_.insert(key);
}

void UntakenChanges::set(Node node) {
  const std::scoped_lock lock(mutex_);
  node_ = std::move(node);
}

ClusterChanges UntakenChanges::take() {
  ClusterChanges changes;
  const std::scoped_lock lock(mutex_);
  for (auto& [key, pod] : std::exchange(pods_, {})) {
    changes.pods.push_back(std::move(pod));
  }
  for (const std::string& key : std::exchange(removed_pods_, {})) {
    changes.removed_pods.push_back(ref_of(key));
  }
  for (auto& [key, service] : std::exchange(services_, {})) {
    changes.services.push_back(std::move(service));
  }
  for (const std::string& key : std::exchange(removed_services_, {})) {
    changes.removed_services.push_back(key);
  }
  changes.node = std::exchange(node_, std::nullopt);
  return changes;
}

}  // namespace hairpind
