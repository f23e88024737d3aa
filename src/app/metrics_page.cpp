// SPDX-License-Identifier: Apache-2.0
#include "metrics_page.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace hairpind {
namespace {

void add_totals(MetricsSnapshot& snapshot, const std::array<std::uint64_t, HP_TOTAL_COUNT>& totals) {
  snapshot.spoofed_sources = totals[HP_TOTAL_SPOOFED_SOURCES];
  snapshot.events = totals[HP_TOTAL_EVENTS];
  snapshot.syns_unnoted = totals[HP_TOTAL_SYNS_UNNOTED];
  snapshot.events_lost["ring_full"] = totals[HP_TOTAL_RING_FULL];
  snapshot.events_lost["pending_full"] = totals[HP_TOTAL_PENDING_FAILED];
  snapshot.events_lost["incidents_full"] = totals[HP_TOTAL_INCIDENTS_FULL];
  snapshot.events_lost["load_balancers_full"] = totals[HP_TOTAL_LB_TABLE_FULL];
  snapshot.events_lost["undecided_evicted"] = totals[HP_TOTAL_UNDECIDED_EVICTED];
  snapshot.events_lost["ack_unwatched"] = totals[HP_TOTAL_ACK_UNWATCHED];
}

// Prometheus cannot see the first step of a counter that was not there before: what is watched for has its series
// before the first SYN.
std::vector<LoadBalancerCounters> with_uncalled(const std::vector<LoadBalancerCounters>& counted,
                                                const std::vector<Endpoint>& listed) {
  std::vector<LoadBalancerCounters> rows = counted;
  std::set<Endpoint> called;
  for (const LoadBalancerCounters& row : counted) {
    called.insert(row.load_balancer);
  }
  for (const Endpoint& load_balancer : listed) {
    if (!called.contains(load_balancer)) {
      rows.push_back({.load_balancer = load_balancer});
    }
  }
  std::ranges::sort(rows, {}, &LoadBalancerCounters::load_balancer);
  return rows;
}

void add_load_balancers(MetricsSnapshot& snapshot, const Status& status, std::vector<LoadBalancerCounters> rows) {
  const bool kubernetes = status.kubernetes_synced.has_value();
  snapshot.mismatches = status.named->mismatches;
  for (LoadBalancerCounters& row : rows) {
    const auto service = status.named->services.find(row.load_balancer);
    // A series must not begin without the label of its Service: the next tick knows it.
    if (kubernetes && service == status.named->services.end()) {
      continue;
    }
    row.service = kubernetes ? service->second : "";
    for (std::uint8_t cause = HP_CAUSE_NONE + 1; cause < HP_CAUSE_COUNT; cause++) {
      const MismatchSeries series{.load_balancer = row.load_balancer,
                                  .service = row.service,
                                  .cause = static_cast<Cause>(cause),
                                  .client_namespace = ""};
      // In Kubernetes the ledger has counted them, by client.
      snapshot.mismatches.try_emplace(series, kubernetes ? 0 : row.mismatches.at(cause));
    }
    snapshot.load_balancers.push_back(std::move(row));
  }
}

// By the names of their rows.
void add_problems(MetricsSnapshot& snapshot, const ProblemStatus& problems) {
  for (const LoadBalancerCounters& row : snapshot.load_balancers) {
    if (const auto found = problems.find(row.load_balancer); found != problems.end()) {
      snapshot.problems.insert(*found).first->second.service = row.service;
    }
  }
}

}  // namespace

KernelCounts KernelCounts::read(const CounterReader& counters) {
  KernelCounts counts;
  counts.totals = counters.read_totals();
  // What cannot be read is not there on this page.
  if (auto rows = counters.read_load_balancers()) {
    counts.load_balancers = *std::move(rows);
  }
  return counts;
}

MetricsSnapshot metrics_of(const Status& status, const KernelCounts* counts, const KernelFeatures& features,
                           AttachMode attach_mode) {
  MetricsSnapshot snapshot;
  snapshot.version = HAIRPIND_VERSION;
  for (const FeatureStatus& feature : features.all()) {
    snapshot.kernel_features[std::string(feature.name)] = feature.present;
  }
  for (const Hook hook : kAllHooks) {
    const bool pod = hook == Hook::kFromPod || hook == Hook::kToPod;
    snapshot.interfaces_attached.push_back({.hook = std::string(to_string(hook)),
                                            .mode = std::string(to_string(attach_mode)),
                                            .count = pod ? status.attached.pods : status.attached.uplinks});
  }
  snapshot.attach_failures = status.attached.failures;
  snapshot.interfaces_blind = status.attached.blind;
  snapshot.watched_by_origin = status.watched.by_origin;
  snapshot.unwatched = status.watched.unwatched;
  snapshot.pending_syns = status.pending_syns;
  snapshot.alerts = status.alerts.written;
  snapshot.events_lost["record_invalid"] = status.alerts.records_invalid;
  snapshot.events_lost["alert_dropped"] = status.alerts.dropped;
  snapshot.kubernetes_synced = status.kubernetes_synced;
  snapshot.exposed_pairs = status.exposed_pairs;
  if (counts != nullptr) {
    for (const ResetSensor sensor : kResetSensors) {
      snapshot.kernel_features["reset_sensor_" + std::string(to_string(sensor))] = sensor == status.loaded.reset_sensor;
    }
    snapshot.kernel_features["conntrack_kfunc"] = status.loaded.conntrack_in_kernel;
    add_totals(snapshot, counts->totals);
    add_load_balancers(snapshot, status, with_uncalled(counts->load_balancers, status.watched.listed));
    add_problems(snapshot, *status.problems);
  }
  return snapshot;
}

}  // namespace hairpind
