// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hairpind/core/cluster.hpp"
#include "hairpind/core/load_balancer_counters.hpp"
#include "hairpind/core/mismatch_ledger.hpp"
#include "status_board.hpp"

namespace hairpind {

/// Books the kernel's counts under the cluster's names, once a tick, where there is a cluster.
///
/// Owns: the ledger, and the last known Service of each load balancer that has a series. Called by: the event loop.
/// Never reads counts or names itself.
class MismatchBooks {
 public:
  /// The incidents first, then the rows, as read in this order. `problems`: load balancers with a series of these, too.
  void book(const std::vector<IncidentCount>& incidents, std::vector<LoadBalancerCounters> rows,
            const ProblemStatus& problems, const Cluster& cluster);
  /// The kernel's count of this incident starts over.
  void forget(const IncidentKey& key) { ledger_.forget(key); }

  [[nodiscard]] std::shared_ptr<const NamedCounts> named() const;

 private:
  MismatchLedger ledger_;
  std::map<Endpoint, std::string> services_;  ///< of what has a series now; kept when the Service is gone
};

}  // namespace hairpind
