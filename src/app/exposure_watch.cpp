// SPDX-License-Identifier: Apache-2.0
#include "exposure_watch.hpp"

#include "hairpind/core/exposure.hpp"
#include "hairpind/core/preservation.hpp"

namespace hairpind {
namespace {

// A client that has not called for so long may have been told not to; what has not been seen for so long may be over.
constexpr std::chrono::hours kIdle{1};
constexpr std::size_t kSeries = 200;

std::set<std::string> seen_preserving(const std::vector<IncidentCount>& incidents, const Cluster& cluster,
                                      SinceBoot now) {
  std::set<std::string> services;
  for (const IncidentCount& incident : incidents) {
    const Service* const service = cluster.publisher_at(incident.key.load_balancer);
    // Who turns it off at the cloud's console changes no Service: where nothing proves it fixed, silence has to tell.
    if (service == nullptr || incident.example.returned.empty() || now - incident.last_event >= kIdle) {
      continue;
    }
    const std::string name = service->full_name();
    if (const auto changed = cluster.service_changed(name); changed && incident.last_event > *changed) {
      services.insert(name);
    }
  }
  return services;
}

}  // namespace

void ExposureWatch::see_translations(const std::vector<LoadBalancerCounters>& load_balancers, SinceBoot now) {
  for (const LoadBalancerCounters& row : load_balancers) {
    if (row.translations == 0) {
      translations_.erase(row.load_balancer);
    } else if (Translations& seen = translations_[row.load_balancer]; seen.count != row.translations) {
      seen = {.count = row.translations, .last = now};
    }
  }
}

void ExposureWatch::see_fixed(const ProblemStatus& problems, SinceBoot now) {
  std::erase_if(fixed_, [&](const auto& entry) { return !problems.contains(entry.first); });
  for (const auto& [load_balancer, standing] : problems) {
    if (standing.state == ProblemState::kFixed) {
      fixed_.try_emplace(load_balancer, now);
    } else {
      fixed_.erase(load_balancer);
    }
  }
}

// Whatever its Service says: who mends it at the cloud's console changes none.
bool ExposureWatch::is_fixed(const Endpoint& load_balancer, const Cluster& cluster) const {
  const auto fixed = fixed_.find(load_balancer);
  const Service* const service = cluster.publisher_at(load_balancer);
  if (fixed == fixed_.end() || service == nullptr) {
    return false;
  }
  const auto changed = cluster.service_changed(service->full_name());
  return changed && *changed <= fixed->second;
}

std::vector<Alert> ExposureWatch::look(const Counted& counted, const ProblemStatus& problems, const Cluster& cluster,
                                       SinceBoot now, WallTime wall) {
  see_translations(counted.load_balancers, now);
  see_fixed(problems, now);
  const auto translated = [&](const Endpoint& load_balancer) {
    const auto found = translations_.find(load_balancer);
    return found != translations_.end() && now - found->second.last < kIdle;
  };
  std::vector<Call> calls;
  for (const Caller& caller : counted.callers) {
    if (now - caller.last < kIdle && !translated(caller.load_balancer) && !is_fixed(caller.load_balancer, cluster)) {
      calls.push_back({.client = caller.client, .load_balancer = caller.load_balancer});
    }
  }
  // A Service that comes back is another one.
  std::erase_if(told_, [&](const std::string& name) { return cluster.service(name) == nullptr; });
  const std::set<std::string> preserving = seen_preserving(counted.incidents, cluster, now);
  pairs_.clear();
  std::vector<Alert> alerts;
  for (const auto& [name, exposure] : find_exposures(cluster, calls, now)) {
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
    pairs_[pairs_.size() < kSeries ? name : "other"] += exposure.pairs;
    if (told_.insert(name).second) {
      alerts.push_back(compose_exposure_alert(service, exposure, preserved, node_, wall));
    }
  }
  return alerts;
}

}  // namespace hairpind
