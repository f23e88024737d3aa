// SPDX-License-Identifier: Apache-2.0
#include "metrics_page.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "process_usage.hpp"

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

// A series must not begin without the label of its Service: the next tick knows it.
std::optional<std::string> service_of(const Status& status, const Endpoint& load_balancer) {
  if (!status.kubernetes_synced) {
    return "";
  }
  const auto found = status.named->services.find(load_balancer);
  return found == status.named->services.end() ? std::nullopt : std::optional(found->second);
}

void add_load_balancers(MetricsSnapshot& snapshot, const Status& status, std::vector<LoadBalancerCounters> rows) {
  std::ranges::sort(rows, {}, &LoadBalancerCounters::load_balancer);
  for (LoadBalancerCounters& row : rows) {
    if (auto service = service_of(status, row.load_balancer)) {
      row.service = *std::move(service);
      snapshot.load_balancers.push_back(std::move(row));
    }
  }
  snapshot.client_mismatches = status.named->mismatches;
  for (const auto& [load_balancer, standing] : *status.problems) {
    if (auto service = service_of(status, load_balancer)) {
      snapshot.problems.emplace(load_balancer, standing).first->second.service = *std::move(service);
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
  snapshot.build = {.version = HAIRPIND_VERSION,
                    .revision = HAIRPIND_REVISION,
                    .libbpf = libbpf_version(),
                    .compiler = HAIRPIND_COMPILER};
  snapshot.process = read_process_usage();
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
  snapshot.kubernetes_events = status.kubernetes_events;
  snapshot.exposed_pairs = status.exposed_pairs;
  if (counts != nullptr) {
    for (const ResetSensor sensor : kResetSensors) {
      snapshot.kernel_features["reset_sensor_" + std::string(to_string(sensor))] = sensor == status.loaded.reset_sensor;
    }
    snapshot.kernel_features["conntrack_kfunc"] = status.loaded.conntrack_in_kernel;
    add_totals(snapshot, counts->totals);
    add_load_balancers(snapshot, status, counts->load_balancers);
  }
  return snapshot;
}

}  // namespace hairpind
