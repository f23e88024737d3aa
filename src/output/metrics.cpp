// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <sstream>
#include <utility>

namespace hairpind {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily family(MetricType type, std::string name, std::string help) {
  MetricFamily family;
  family.type = type;
  family.name = std::move(name);
  family.help = std::move(help);
  return family;
}

// Doubles hold whole numbers up to 2^53, and the serializer writes all of their digits.
void add(MetricFamily& family, Labels labels, std::uint64_t value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter) {
    metric.counter.value = static_cast<double>(value);
  } else {
    metric.gauge.value = static_cast<double>(value);
  }
  family.metric.push_back(std::move(metric));
}

constexpr std::array<std::uint32_t, HP_LATENCY_BUCKET_COUNT - 1> kLatencyBounds = HP_LATENCY_BOUNDS_US;

ClientMetric latency_histogram(Labels labels, const LoadBalancerCounters& counted) {
  ClientMetric metric;
  metric.label = std::move(labels);
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < counted.latencies.size(); i++) {
    cumulative += counted.latencies.at(i);
    metric.histogram.bucket.push_back(
        {.cumulative_count = cumulative,
         .upper_bound = i < kLatencyBounds.size()
                            ? std::chrono::duration<double>(std::chrono::microseconds(kLatencyBounds.at(i))).count()
                            : std::numeric_limits<double>::infinity()});
  }
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum = std::chrono::duration<double>(counted.latency_sum).count();
  return metric;
}

MetricFamily single(MetricType type, std::string name, std::string help, std::uint64_t value) {
  MetricFamily result = family(type, std::move(name), std::move(help));
  add(result, {}, value);
  return result;
}

std::string label(const Endpoint& load_balancer) {
  return load_balancer.empty() ? "other" : load_balancer.to_string();
}

Labels labels_of(const Endpoint& load_balancer, const std::string& service) {
  Labels labels{{"lb", label(load_balancer)}};
  if (!service.empty()) {
    labels.push_back({"lb_service", service});
  }
  return labels;
}

Labels with(Labels labels, ClientMetric::Label more) {
  labels.push_back(std::move(more));
  return labels;
}

MetricFamily mismatches(const MismatchCounts& counts) {
  auto result = family(MetricType::Counter, "hairpind_mismatches_total",
                       "Handshake attempts that something other than the load balancer answered.");
  for (const auto& [series, count] : counts) {
    Labels labels =
        with(labels_of(series.load_balancer, series.service), {"cause", std::string(to_string(series.cause))});
    if (!series.client_namespace.empty()) {
      labels.push_back({"client_namespace", series.client_namespace});
    }
    add(result, std::move(labels), count);
  }
  return result;
}

void add_load_balancers(const std::vector<LoadBalancerCounters>& load_balancers, std::vector<MetricFamily>& families) {
  auto syns = family(MetricType::Counter, "hairpind_syns_total",
                     "Handshake attempts (first SYNs) from this node to a load balancer.");
  auto retransmits = family(MetricType::Counter, "hairpind_syn_retransmits_total",
                            "SYNs to a load balancer that repeat one already seen.");
  auto handshakes = family(MetricType::Counter, "hairpind_handshakes_total",
                           "Handshake attempts by what the load balancer answered within the handshake timeout.");
  auto translations = family(MetricType::Counter, "hairpind_legitimate_translations_total",
                             "Handshake attempts that this node itself translated to their backend.");
  auto same_node =
      family(MetricType::Counter, "hairpind_same_node_answered_total",
             "Answered handshakes that the load balancer, in its own name, sent to a target on this node.");
  auto latency = family(MetricType::Histogram, "hairpind_handshake_seconds",
                        "Time from a client's first SYN to the load balancer's answer, of answered handshakes.");
  for (const LoadBalancerCounters& counted : load_balancers) {
    const Labels lb = labels_of(counted.load_balancer, counted.service);
    add(syns, lb, counted.syns);
    add(retransmits, lb, counted.syn_retransmits);
    add(handshakes, with(lb, {"result", "answered"}), counted.answered);
    add(handshakes, with(lb, {"result", "mismatched"}), counted.mismatched);
    add(handshakes, with(lb, {"result", "refused"}), counted.refused);
    add(handshakes, with(lb, {"result", "unanswered"}), counted.unanswered);
    add(translations, lb, counted.translations);
    add(same_node, lb, counted.same_node_answered);
    latency.metric.push_back(latency_histogram(lb, counted));
  }
  for (MetricFamily* const each : {&syns, &retransmits, &handshakes, &translations, &same_node, &latency}) {
    families.push_back(std::move(*each));
  }
}

void add_problems(const std::map<Endpoint, ProblemStanding>& problems, std::vector<MetricFamily>& families) {
  auto states = family(MetricType::Gauge, "hairpind_problem_state",
                       "1 for the state of a load balancer that has failed on this node; of these only fixed is over.");
  auto last = family(MetricType::Gauge, "hairpind_last_mismatch_timestamp_seconds",
                     "When an attempt was last counted as misdirected, Unix time.");
  for (const auto& [load_balancer, problem] : problems) {
    if (!problem.state) {
      continue;
    }
    const Labels lb = labels_of(load_balancer, problem.service);
    for (const ProblemState state :
         {ProblemState::kActive, ProblemState::kFixed, ProblemState::kDormant, ProblemState::kQuiet}) {
      add(states, with(lb, {"state", std::string(to_string(state))}), state == problem.state ? 1 : 0);
    }
    for (const auto& [cause, time] : problem.last_mismatch) {
      const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
      add(last, with(lb, {"cause", std::string(to_string(cause))}), static_cast<std::uint64_t>(seconds));
    }
  }
  families.push_back(std::move(states));
  families.push_back(std::move(last));
}

}  // namespace

std::string render_metrics(const MetricsSnapshot& snapshot) {
  std::vector<MetricFamily> families;
  add_load_balancers(snapshot.load_balancers, families);
  families.push_back(mismatches(snapshot.mismatches));
  add_problems(snapshot.problems, families);

  auto alerts = family(MetricType::Counter, "hairpind_alerts_total", "Alerts written, by event.");
  for (const AlertEvent event : kAllAlertEvents) {
    const auto found = snapshot.alerts.find(event);
    add(alerts, {{"event", std::string(to_string(event))}}, found == snapshot.alerts.end() ? 0 : found->second);
  }
  families.push_back(std::move(alerts));

  families.push_back(single(MetricType::Counter, "hairpind_events_total",
                            "Records the kernel side handed to the agent; none for healthy traffic.", snapshot.events));
  auto lost = family(MetricType::Counter, "hairpind_events_lost_total",
                     "Samples, table entries and alerts lost, by reason; counters stay exact.");
  for (const auto& [reason, count] : snapshot.events_lost) {
    add(lost, {{"reason", reason}}, count);
  }
  families.push_back(std::move(lost));

  auto attached = family(MetricType::Gauge, "hairpind_interfaces_attached", "Devices that a program is attached to.");
  for (const AttachedInterfaces& interfaces : snapshot.interfaces_attached) {
    add(attached, {{"hook", interfaces.hook}, {"mode", interfaces.mode}}, interfaces.count);
  }
  families.push_back(std::move(attached));
  families.push_back(single(MetricType::Counter, "hairpind_attach_failures_total",
                            "Attempts to attach to a device that failed while it was there.",
                            snapshot.attach_failures));
  auto origins = family(MetricType::Gauge, "hairpind_load_balancers",
                        "Load balancers (address and port) to watch for, by where they are known from.");
  for (const auto& [origin, count] : snapshot.watched_by_origin) {
    add(origins, {{"origin", origin}}, count);
  }
  families.push_back(std::move(origins));
  families.push_back(single(MetricType::Gauge, "hairpind_load_balancers_unwatched",
                            "Load balancers that found no room in the kernel's table and are not watched.",
                            snapshot.unwatched));
  families.push_back(single(MetricType::Gauge, "hairpind_interfaces_blind",
                            "Pods' devices whose packets programs of others take before hairpind sees them.",
                            snapshot.interfaces_blind));
  families.push_back(single(MetricType::Gauge, "hairpind_pending_syns",
                            "Handshake attempts that wait for an answer, as of the last second.",
                            snapshot.pending_syns));
  families.push_back(single(MetricType::Counter, "hairpind_spoofed_sources_total",
                            "Handshake packets that a pod sent with somebody else's source address.",
                            snapshot.spoofed_sources));
  families.push_back(
      single(MetricType::Counter, "hairpind_syns_unnoted_total",
             "SYNs to no known load balancer beyond what a device may have looked at for an unknown one.",
             snapshot.syns_unnoted));

  auto build = family(MetricType::Gauge, "hairpind_build_info", "Always 1.");
  add(build, {{"version", snapshot.version}}, 1);
  families.push_back(std::move(build));
  auto features = family(MetricType::Gauge, "hairpind_kernel_feature",
                         "1 where the kernel or the process has the feature (hairpind check).");
  for (const auto& [feature, present] : snapshot.kernel_features) {
    add(features, {{"feature", feature}}, present ? 1 : 0);
  }
  families.push_back(std::move(features));

  if (snapshot.kubernetes_synced) {
    families.push_back(single(MetricType::Gauge, "hairpind_kubernetes_synced",
                              "1 while the agent's view of pods, Services and its node is in step with the API server.",
                              *snapshot.kubernetes_synced ? 1 : 0));
    auto exposed = family(MetricType::Gauge, "hairpind_exposed_pairs",
                          "Local pods that call a load balancer with a ready backend on this node.");
    for (const auto& [service, pairs] : snapshot.exposed_pairs) {
      add(exposed, {{"lb_service", service}}, pairs);
    }
    families.push_back(std::move(exposed));
  }

  std::ostringstream text;
  prometheus::TextSerializer{}.Serialize(text, families);
  return text.str();
}

}  // namespace hairpind
