// SPDX-License-Identifier: Apache-2.0
#include "problem_watch.hpp"

#include <set>
#include <utility>

#include "hairpind/core/problem_alert.hpp"

namespace hairpind {
namespace {

// An example is stamped before it can be read.
constexpr std::chrono::seconds kReadLater{2};
// Nobody asks any more about what is older, if it has not been called since the agent began.
constexpr std::chrono::days kRemembered{7};

// What it was told to be, whatever it has become without a word since: what the next failure opens again.
ProblemReport report_as_told(const Problem& problem, const Placement& placement, WallTime::duration boot_to_wall) {
  ProblemReport report = report_of(problem, placement, boot_to_wall);
  report.state = problem.told().value_or(report.state);
  return report;
}

}  // namespace

ProblemWatch::Followed::Followed(Problem::Thresholds thresholds, KeptProblem kept)
    : problem(thresholds, kept.problem),
      placement(std::move(kept.placement)),
      newest(kept.newest),
      last_mismatch(std::move(kept.last_mismatch)),
      last_answered(kept.last_answered),
      restored(true) {}

void ProblemWatch::restore(std::vector<KeptProblem> kept) {
  for (KeptProblem& problem : kept) {
    const Endpoint load_balancer = problem.load_balancer;
    followed_.try_emplace(load_balancer, thresholds_, std::move(problem));
  }
}

std::vector<KeptProblem> ProblemWatch::keep() const {
  std::vector<KeptProblem> kept;
  for (const auto& [load_balancer, followed] : followed_) {
    if (followed.problem.state()) {
      kept.push_back({.load_balancer = load_balancer,
                      .problem = followed.problem.record(),
                      .placement = followed.placement.record(),
                      .newest = followed.newest,
                      .last_mismatch = followed.last_mismatch,
                      .last_answered = followed.last_answered});
    }
  }
  return kept;
}

std::vector<Alert> ProblemWatch::look(const std::vector<IncidentCount>& incidents,
                                      const std::vector<LoadBalancerCounters>& rows, const NodeView& node,
                                      const AlertSources& sources, SinceBoot now) {
  const WallTime wall(now + sources.boot_to_wall);
  follow(rows, wall, now);
  take_incidents(incidents, node, now);

  std::vector<Alert> alerts;
  const auto update_by = [&](Followed& followed, const LoadBalancerCounters& row) {
    if (auto alert = update(followed, row, node, sources, now)) {
      alerts.push_back(*std::move(alert));
    }
  };
  for (const LoadBalancerCounters& row : rows) {
    if (const auto found = followed_.find(row.load_balancer); found != followed_.end()) {
      update_by(found->second, row);
    }
  }
  for (auto& [load_balancer, followed] : followed_) {
    if (followed.restored) {
      update_by(followed, {.load_balancer = load_balancer});
    }
  }
  publish();
  return alerts;
}

std::optional<Alert> ProblemWatch::update(Followed& followed, const LoadBalancerCounters& row, const NodeView& node,
                                          const AlertSources& sources, SinceBoot now) {
  if (row.mismatched != 0 || followed.problem.state()) {
    followed.placement.look(row.load_balancer, node);
  }
  std::optional<ProblemReport> before;
  if (followed.problem.told()) {
    before = report_as_told(followed.problem, followed.placement, sources.boot_to_wall);
  }
  const auto change = followed.problem.update({.answered = row.answered,
                                               .mismatched = row.mismatched,
                                               .same_node_answers = row.same_node_answered,
                                               .target = followed.placement.target(),
                                               .clients = followed.placement.clients()},
                                              now);
  if (change == ProblemChange::kReopened && !std::exchange(followed.reopening_told, false)) {
    followed.reopened = before;
  }
  if ((change != ProblemChange::kFixed && change != ProblemChange::kDormant) || !followed.newest) {
    return std::nullopt;
  }
  return compose_problem_alert(report_of(followed.problem, followed.placement, sources.boot_to_wall), *followed.newest,
                               WallTime(now + sources.boot_to_wall), sources);
}

void ProblemWatch::follow(const std::vector<LoadBalancerCounters>& rows, WallTime wall, SinceBoot now) {
  std::set<Endpoint> listed;
  for (const LoadBalancerCounters& row : rows) {
    // What has no row of its own is many load balancers.
    if (row.load_balancer.empty()) {
      continue;
    }
    listed.insert(row.load_balancer);
    Followed& followed = followed_.try_emplace(row.load_balancer, thresholds_).first->second;
    followed.restored = false;
    take_times(followed, row, wall);
  }
  std::erase_if(followed_, [&](const auto& entry) {
    const Followed& followed = entry.second;
    return followed.restored ? now - followed.problem.last_mismatch() > kRemembered : !listed.contains(entry.first);
  });
}

void ProblemWatch::take_times(Followed& followed, const LoadBalancerCounters& row, WallTime now) {
  for (std::uint8_t cause = HP_CAUSE_NONE + 1; cause < HP_CAUSE_COUNT; cause++) {
    if (row.mismatches.at(cause) != 0 && row.mismatches.at(cause) != followed.mismatches.at(cause)) {
      followed.last_mismatch[static_cast<Cause>(cause)] = now;
    }
  }
  followed.mismatches = row.mismatches;
  if (row.answered != 0 && row.answered != std::exchange(followed.answered, row.answered)) {
    followed.last_answered = now;
  }
}

void ProblemWatch::take_incidents(const std::vector<IncidentCount>& incidents, const NodeView& node, SinceBoot now) {
  const SinceBoot since = std::exchange(looked_, now) - kReadLater;
  for (const IncidentCount& incident : incidents) {
    const auto found = followed_.find(incident.key.load_balancer);
    if (incident.last_event.count() == 0 || incident.last_event < since || found == followed_.end()) {
      continue;
    }
    Followed& followed = found->second;
    followed.placement.add(incident, node);
    if (!followed.newest || followed.newest->last_event <= incident.last_event) {
      followed.newest = incident;
    }
  }
}

void ProblemWatch::mark_reopening(std::vector<Alert>& alerts, const AlertSources& sources) {
  for (Alert& alert : alerts) {
    const auto found = followed_.find(alert.load_balancer);
    if (alert.event != AlertEvent::kAsymmetricHandshake || found == followed_.end()) {
      continue;
    }
    Followed& followed = found->second;
    if (followed.reopened) {
      add_reopening(alert, *std::exchange(followed.reopened, std::nullopt));
    } else if (followed.problem.told() && !std::exchange(followed.reopening_told, true)) {
      add_reopening(alert, report_as_told(followed.problem, followed.placement, sources.boot_to_wall));
    }
  }
}

void ProblemWatch::publish() {
  ProblemStatus status;
  for (const auto& [load_balancer, followed] : followed_) {
    status.emplace(load_balancer, ProblemStanding{.service = "",
                                                  .state = followed.problem.state(),
                                                  .last_mismatch = followed.last_mismatch,
                                                  .last_answered = followed.last_answered});
  }
  status_ = std::make_shared<const ProblemStatus>(std::move(status));
}

}  // namespace hairpind
