// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hairpind/core/alert.hpp"
#include "hairpind/core/kubernetes_events.hpp"
#include "hairpind/core/load_balancer_counters.hpp"
#include "hairpind/core/mismatch_ledger.hpp"
#include "hairpind/core/problem.hpp"

namespace hairpind {

struct AttachedInterfaces {
  std::string hook;
  std::string mode;
  std::uint64_t count = 0;
};

/// How it stands with a load balancer that has been called from this node.
struct ProblemStanding {
  std::string service;                      ///< "namespace/name"; empty where not known
  std::optional<ProblemState> state;        ///< nothing: it has not failed
  std::map<Cause, WallTime> last_mismatch;  ///< to the second, as the following
  std::optional<WallTime> last_answered;
};

/// What this binary was made of.
struct BuildInfo {
  std::string version;
  std::string revision;  ///< of the source, a git commit's; empty where not known
  std::string libbpf;    ///< as loaded
  std::string compiler;
};

/// What Prometheus' client libraries tell of each process (prometheus.io/docs/instrumenting/writing_clientlibs).
struct ProcessUsage {
  double cpu_seconds = 0;    ///< user and system
  double start_seconds = 0;  ///< Unix time
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_descriptors = 0;
  std::uint64_t most_descriptors = 0;
};

/// All that /metrics tells, at one moment.
struct MetricsSnapshot {
  std::vector<LoadBalancerCounters> load_balancers;  ///< the empty endpoint is the label "other"
  MismatchCounts client_mismatches;                  ///< in Kubernetes: the same mismatches, by whom they befell
  std::map<Endpoint, ProblemStanding> problems;
  std::map<AlertEvent, std::uint64_t> alerts;
  std::map<std::string, std::uint64_t> events_lost;  ///< by reason
  std::vector<AttachedInterfaces> interfaces_attached;
  std::uint64_t attach_failures = 0;
  std::map<std::string, std::uint64_t> watched_by_origin;  ///< load balancers to watch for, by where they come from
  std::uint64_t unwatched = 0;  ///< those among them that found no room in the kernel's table
  std::uint64_t interfaces_blind = 0;
  std::uint64_t pending_syns = 0;
  std::uint64_t spoofed_sources = 0;
  std::uint64_t syns_unnoted = 0;  ///< to no known load balancer, and too many to find an unknown one by
  std::uint64_t events = 0;
  BuildInfo build;
  std::optional<ProcessUsage> process;  ///< nullopt where it could not be read
  std::map<std::string, bool> kernel_features;
  std::optional<bool> tls_certificate_current;             ///< nullopt: no TLS
  std::optional<bool> kubernetes_synced;                   ///< nullopt: no Kubernetes
  std::optional<KubernetesEventCounts> kubernetes_events;  ///< nullopt: not asked for
  std::map<std::string, std::uint64_t> exposed_pairs;      ///< by Service, "namespace/name" or "other"
};

/// Prometheus text format 0.0.4. The metrics are listed in README.md.
std::string render_metrics(const MetricsSnapshot& snapshot);

}  // namespace hairpind
