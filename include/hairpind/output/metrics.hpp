// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/alert.hpp"
#include "hairpind/core/mismatch_ledger.hpp"

namespace hairpind {

/// Handshakes with one load-balancer endpoint since the agent started. The empty endpoint is the label "other":
/// what did not fit into the kernel's table.
struct LoadBalancerMetrics {
  Endpoint load_balancer;
  std::string service;  ///< "namespace/name"; empty where not known
  std::uint64_t syns = 0;
  std::uint64_t syn_retransmits = 0;
  std::uint64_t answered = 0;
  std::uint64_t mismatched = 0;
  std::uint64_t refused = 0;
  std::uint64_t unanswered = 0;
  std::uint64_t translations = 0;
  /// Of the answered: how many took no longer than each of abi.h's HP_LATENCY_BOUNDS_US, not cumulative; the last
  /// is the slower rest.
  std::array<std::uint64_t, HP_LATENCY_BUCKET_COUNT> latencies{};
  std::chrono::nanoseconds latency_sum{};
};

struct AttachedInterfaces {
  std::string hook;
  std::string mode;
  std::uint64_t count = 0;
};

/// All that /metrics tells, at one moment.
struct MetricsSnapshot {
  std::vector<LoadBalancerMetrics> load_balancers;
  MismatchCounts mismatches;
  std::map<AlertEvent, std::uint64_t> alerts;
  std::map<std::string, std::uint64_t> events_lost;  ///< by reason
  std::vector<AttachedInterfaces> interfaces_attached;
  std::uint64_t attach_failures = 0;
  std::uint64_t pending_syns = 0;
  std::uint64_t spoofed_sources = 0;
  std::uint64_t events = 0;
  std::string version;
  std::map<std::string, bool> kernel_features;
  std::optional<bool> kubernetes_synced;               ///< nullopt: no Kubernetes
  std::map<std::string, std::uint64_t> exposed_pairs;  ///< by Service, "namespace/name" or "other"
};

/// Prometheus text format 0.0.4. The metrics are listed in README.md.
std::string render_metrics(const MetricsSnapshot& snapshot);

}  // namespace hairpind
