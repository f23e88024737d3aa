// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "hairpind/core/alert.hpp"
#include "hairpind/core/compose_alert.hpp"
#include "hairpind/core/load_balancer_counters.hpp"
#include "hairpind/core/placement.hpp"
#include "hairpind/core/problem.hpp"
#include "status_board.hpp"

namespace hairpind {

/// A problem as it outlives the agent.
struct KeptProblem {
  Endpoint load_balancer;
  ProblemRecord problem;
  PlacementRecord placement;
  std::optional<IncidentCount> newest;  ///< whose names its alerts carry
  std::map<Cause, WallTime> last_mismatch;
  std::optional<WallTime> last_answered;
};

/// Follows the life of each load balancer's problem (DESIGN 2a), by what the kernel counts and by who is on this node.
///
/// Owns: the problems. Called by: the event loop. Never reads counts or names itself; its alerts are the caller's to
/// write. Without restore() it starts with no history: of what failed before the agent started nothing is claimed.
class ProblemWatch {
 public:
  explicit ProblemWatch(Problem::Thresholds thresholds) : thresholds_(thresholds) {}

  /// Goes on with what another agent on this node has kept. Before the first look.
  void restore(std::vector<KeptProblem> kept);
  /// Every problem there is.
  [[nodiscard]] std::vector<KeptProblem> keep() const;

  /// What there is to tell of problems that are over, or dormant; the caller closes their incidents. Incidents and rows
  /// as read in this order, at least once every few seconds.
  [[nodiscard]] std::vector<Alert> look(const std::vector<IncidentCount>& incidents,
                                        const std::vector<LoadBalancerCounters>& rows, const NodeView& node,
                                        const AlertSources& sources, SinceBoot now);
  /// Marks, of alerts that are about to be written, the first of each load balancer whose problem they open again.
  void mark_reopening(std::vector<Alert>& alerts, const AlertSources& sources);

  [[nodiscard]] std::shared_ptr<const ProblemStatus> status() const { return status_; }

 private:
  struct Followed {
    explicit Followed(Problem::Thresholds thresholds) : problem(thresholds) {}
    Followed(Problem::Thresholds thresholds, KeptProblem kept);

    Problem problem;
    Placement placement;
    std::optional<IncidentCount> newest;
    std::array<std::uint64_t, HP_CAUSE_COUNT> mismatches{};  ///< as of the last look
    std::map<Cause, WallTime> last_mismatch;
    std::uint64_t answered = 0;  ///< likewise
    std::optional<WallTime> last_answered;
    std::optional<ProblemReport> reopened;  ///< what it was told to be, until an alert says that it is back
    bool reopening_told = false;            ///< an alert has said so before the count was seen
    bool restored = false;                  ///< and not called since: the kernel's table has no row of it yet
  };

  void follow(const std::vector<LoadBalancerCounters>& rows, WallTime wall, SinceBoot now);
  static std::optional<Alert> update(Followed& followed, const LoadBalancerCounters& row, const NodeView& node,
                                     const AlertSources& sources, SinceBoot now);
  void take_incidents(const std::vector<IncidentCount>& incidents, const NodeView& node, SinceBoot now);
  static void take_times(Followed& followed, const LoadBalancerCounters& row, WallTime now);
  void publish();

  Problem::Thresholds thresholds_;
  std::map<Endpoint, Followed> followed_;  ///< those with a row of the kernel's table, and restored ones
  SinceBoot looked_{};
  std::shared_ptr<const ProblemStatus> status_ = std::make_shared<const ProblemStatus>();
};

}  // namespace hairpind
