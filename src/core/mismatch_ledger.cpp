// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/mismatch_ledger.hpp"

#include <utility>

namespace hairpind {

void MismatchLedger::book(const std::vector<IncidentCount>& incidents,
                          const std::vector<LoadBalancerCounters>& load_balancers, const NamespaceOf& namespace_of) {
  std::map<Endpoint, std::string> services;
  for (const LoadBalancerCounters& row : load_balancers) {
    services.emplace(row.load_balancer, row.service);
  }
  std::map<IncidentKey, std::uint64_t> seen;
  for (const IncidentCount& incident : incidents) {
    seen.emplace(incident.key, incident.count);
    const auto before = seen_incidents_.find(incident.key);
    // Fewer than before: the entry went and came back.
    const bool goes_on = before != seen_incidents_.end() && before->second <= incident.count;
    const std::uint64_t increase = incident.count - (goes_on ? before->second : 0);
    if (increase == 0) {
      continue;
    }
    // The kernel counts what its table has no room for under the empty endpoint.
    const auto row = services.find(incident.key.load_balancer);
    const bool listed = row != services.end();
    add({.load_balancer = listed ? row->first : Endpoint{},
         .service = listed ? row->second : "",
         .cause = incident.key.cause,
         .client_namespace = namespace_of(incident)},
        increase);
  }
  seen_incidents_ = std::move(seen);

  for (const LoadBalancerCounters& row : load_balancers) {
    auto& before = seen_unpaired_[row.load_balancer];
    for (std::uint8_t cause = HP_CAUSE_NONE + 1; cause < HP_CAUSE_COUNT; cause++) {
      // Fewer than before: the row was given back, and is a new one.
      const std::uint64_t counted = row.unpaired.at(cause);
      const std::uint64_t increase = counted - (before.at(cause) <= counted ? before.at(cause) : 0);
      if (increase != 0) {
        add({.load_balancer = row.load_balancer,
             .service = row.service,
             .cause = static_cast<Cause>(cause),
             .client_namespace = ""},
            increase);
      }
    }
    before = row.unpaired;
  }
}

void MismatchLedger::add(MismatchSeries series, std::uint64_t increase) {
  if (!series.client_namespace.empty() && !counts_.contains(series)) {
    if (named_series_ < kNamedSeries) {
      named_series_++;
    } else {
      series.client_namespace = "other";
    }
  }
  counts_[series] += increase;
}

}  // namespace hairpind
