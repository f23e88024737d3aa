// SPDX-License-Identifier: Apache-2.0
#include "mismatch_books.hpp"

#include <utility>

namespace hairpind {

void MismatchBooks::book(const std::vector<IncidentCount>& incidents, std::vector<LoadBalancerCounters> rows,
                         const ProblemStatus& problems, const Cluster& cluster) {
  // Built anew: what has no series any more needs no name.
  std::map<Endpoint, std::string> services;
  const auto name = [&](const Endpoint& load_balancer) -> const std::string& {
    std::string& service = services[load_balancer];
    if (const auto ref = cluster.load_balancer_at(load_balancer)) {
      service = ref->full_name();
    } else if (const auto before = services_.find(load_balancer); before != services_.end()) {
      service = before->second;
    }
    return service;
  };
  for (LoadBalancerCounters& row : rows) {
    row.service = name(row.load_balancer);
  }
  for (const auto& [load_balancer, standing] : problems) {
    name(load_balancer);
  }
  services_ = std::move(services);
  ledger_.book(incidents, rows, [&](const IncidentCount& incident) {
    const auto client = cluster.pod_at(incident.example.client, incident.example.first_syn);
    return client ? client->namespace_name : std::string();
  });
}

std::shared_ptr<const NamedCounts> MismatchBooks::named() const {
  return std::make_shared<const NamedCounts>(NamedCounts{.services = services_, .mismatches = ledger_.counts()});
}

}  // namespace hairpind
