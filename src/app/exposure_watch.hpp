// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "hairpind/bpf/counter_reader.hpp"
#include "hairpind/core/alert.hpp"
#include "hairpind/core/cluster.hpp"
#include "status_board.hpp"

namespace hairpind {

/// Looks for pods that call a load balancer while a backend of it runs beside them, before anything fails.
///
/// Owns: which Services it has told of, each once while it lasts, and which load balancers the node translates itself.
/// Called by: the event loop. Never reads counts or names itself; its alerts are the caller's to write.
class ExposureWatch {
 public:
  explicit ExposureWatch(std::string node) : node_(std::move(node)) {}

  /// What the kernel side has counted, as of this look.
  struct Counted {
    std::vector<Caller> callers;
    std::vector<IncidentCount> incidents;
    std::vector<LoadBalancerCounters> load_balancers;
  };

  /// What there is to tell. A pair counts only where the load balancer is known to keep addresses: by its Service's
  /// settings, or by a SYN that came back with its source kept since the Service last changed. Never where this node
  /// translates the load balancer's address itself, nor where it is fixed and the Service has not changed since.
  [[nodiscard]] std::vector<Alert> look(const Counted& counted, const ProblemStatus& problems, const Cluster& cluster,
                                        SinceBoot now, WallTime wall);
  /// By Service, as of the last look; beyond 200 of them under "other".
  [[nodiscard]] const std::map<std::string, std::uint64_t>& pairs() const { return pairs_; }

 private:
  struct Translations {
    std::uint64_t count = 0;
    SinceBoot last;  ///< when the count was last seen to have grown
  };

  void see_translations(const std::vector<LoadBalancerCounters>& load_balancers, SinceBoot now);
  void see_fixed(const ProblemStatus& problems, SinceBoot now);
  [[nodiscard]] bool is_fixed(const Endpoint& load_balancer, const Cluster& cluster) const;

  std::string node_;
  std::map<Endpoint, Translations> translations_;  ///< where there were any
  std::map<Endpoint, SinceBoot> fixed_;            ///< since it was first seen to be
  std::set<std::string> told_;                     ///< Services that are still there
  std::map<std::string, std::uint64_t> pairs_;
};

}  // namespace hairpind
