// SPDX-License-Identifier: Apache-2.0
#include "exposure_watch.hpp"

#include "hairpind/core/exposure.hpp"
#include "hairpind/core/preservation.hpp"

namespace hairpind {
namespace {

// A client that has not called for so long may have been told not to.
constexpr std::chrono::hours kCallerIdle{1};
constexpr std::size_t kSeries = 200;

std::set<std::string> seen_preserving(const std::vector<IncidentCount>& incidents, const Cluster& cluster) {
  std::set<std::string> services;
  for (const IncidentCount& incident : incidents) {
    const auto ref = cluster.load_balancer_at(incident.key.load_balancer);
    if (ref && !incident.example.returned.empty()) {
      services.insert(ref->full_name());
    }
  }
  return services;
}

}  // namespace

std::vector<Alert> ExposureWatch::look(const std::vector<Caller>& callers, const std::vector<IncidentCount>& incidents,
                                       const Cluster& cluster, MonotonicTime now, WallTime wall) {
  std::vector<Call> calls;
  for (const Caller& caller : callers) {
    if (now - caller.last < kCallerIdle) {
      calls.push_back({.client = caller.client, .load_balancer = caller.load_balancer});
    }
  }
  // A Service that comes back is another one.
  std::erase_if(told_, [&](const std::string& name) { return cluster.service(name) == nullptr; });
  const std::set<std::string> preserving = seen_preserving(incidents, cluster);
  pairs_.clear();
  std::vector<Alert> alerts;
  for (const auto& [name, exposure] : find_exposures(cluster, calls, now)) {
    pairs_[pairs_.size() < kSeries ? name : "other"] += exposure.pairs;
    const Service& service = *cluster.service(name);
    const Assessment assessment = assess(service);
    std::string preserved;
    if (preserving.contains(name)) {
      preserved = "a SYN was seen coming back with its source kept";
    } else if (assessment.risk == Risk::kAtRisk) {
      preserved = assessment.reason;
    } else {
      continue;
    }
    if (told_.insert(name).second) {
      alerts.push_back(compose_exposure_alert(service, exposure, preserved, node_, wall));
    }
  }
  return alerts;
}

}  // namespace hairpind
