// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>

#include "hairpind/core/address.hpp"
#include "hairpind/core/alert.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/target_group_binding.hpp"
#include "hairpind/kube/cluster_access.hpp"

namespace hairpind {

/// How long the API server is left alone.
struct SearchPauses {
  /// About one load balancer, and of a kind that the server has not, or does not grant.
  std::chrono::milliseconds ask_again = std::chrono::minutes(10);
  /// After a server that could not be asked, by anybody.
  std::chrono::milliseconds after_failure = std::chrono::minutes(1);
};

/// Asks the API server what else of the cluster names a load balancer that no Service publishes, in a thread of its
/// own: a TargetGroupBinding, whose Service has the target; else an Ingress with its address. Asked is only when there
/// is one, so that a cluster without trouble costs its server nothing. Without the right to, or where the kinds are not
/// served, nothing is found, and nothing is logged.
class LoadBalancerSearch {
 public:
  /// More never wait for their turn; a question beyond is forgotten.
  static constexpr std::size_t kMostWaiting = 16;
  /// Load balancers whose last question is remembered.
  static constexpr std::size_t kMostAsked = 512;
  /// Services that one question may read.
  static constexpr std::size_t kMostServices = 64;

  struct Question {
    Endpoint load_balancer;
    LoadBalancerTarget target;
  };
  /// Nothing where nothing names it.
  using Answers = std::map<Endpoint, std::optional<LoadBalancerRef>>;

  static Result<std::unique_ptr<LoadBalancerSearch>> start(const ClusterAccess& access, SearchPauses pauses = {});
  /// Waits for the thread, which may be at its server.
  ~LoadBalancerSearch();
  LoadBalancerSearch(const LoadBalancerSearch&) = delete;
  LoadBalancerSearch& operator=(const LoadBalancerSearch&) = delete;

  /// Is it time to ask about this one? Does not wait. Thread safe, as are the others.
  [[nodiscard]] bool is_to_be_asked(const Endpoint& load_balancer) const;
  void ask(Question question);
  /// What has been found out since the last call.
  Answers take();

 private:
  class Worker;
  explicit LoadBalancerSearch(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> worker_;
};

}  // namespace hairpind
