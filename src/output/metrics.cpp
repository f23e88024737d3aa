// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
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

// A series each, of each load balancer on each node: of the kernel's bounds those that tell a healthy answer, a slow
// one and a SYN that had to be sent again (after 1 s) apart.
constexpr std::array<std::uint32_t, HP_LATENCY_BUCKET_COUNT - 1> kLatencyBounds = HP_LATENCY_BOUNDS_US;
constexpr std::array<std::uint32_t, 4> kLatencyBoundsTold = {1'000, 10'000, 100'000, 1'000'000};
static_assert(std::ranges::includes(kLatencyBounds, kLatencyBoundsTold));

ClientMetric latency_histogram(Labels labels, const LoadBalancerCounters& counted) {
  ClientMetric metric;
  metric.label = std::move(labels);
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < counted.latencies.size(); i++) {
    cumulative += counted.latencies.at(i);
    if (i < kLatencyBounds.size() && std::ranges::binary_search(kLatencyBoundsTold, kLatencyBounds.at(i))) {
      metric.histogram.bucket.push_back(
          {.cumulative_count = cumulative,
           .upper_bound = std::chrono::duration<double>(std::chrono::microseconds(kLatencyBounds.at(i))).count()});
    }
  }
  metric.histogram.bucket.push_back(
      {.cumulative_count = cumulative, .upper_bound = std::numeric_limits<double>::infinity()});
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

// "namespace/name" in the labels that kube-state-metrics has it in; what is no Service keeps its kind, so that it joins
// none.
void add_service(Labels& labels, const std::string& service) {
  const auto slash = service.find('/');
  if (slash == std::string::npos) {
    if (!service.empty()) {
      labels.push_back({"lb_service", service});
    }
    return;
  }
  const auto kind_end = service.rfind(' ', slash);
  const auto begin = kind_end == std::string::npos ? 0 : kind_end + 1;
  labels.push_back({"lb_namespace", service.substr(begin, slash - begin)});
  labels.push_back({"lb_service", service.substr(0, begin) + service.substr(slash + 1)});
}

Labels labels_of(const Endpoint& load_balancer, const std::string& service) {
  Labels labels{{"lb", label(load_balancer)}};
  add_service(labels, service);
  return labels;
}

Labels with(Labels labels, ClientMetric::Label more) {
  labels.push_back(std::move(more));
  return labels;
}

MetricFamily client_mismatches(const MismatchCounts& counts) {
  auto result = family(MetricType::Counter, "hairpind_client_mismatches_total",
                       "hairpind_mismatches_total, by the namespace of the client as of then.");
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

// Twelve series at most for a load balancer that works: what most never have begins with its first time. The results
// that make a share are there from the start.
void add_load_balancers(const std::vector<LoadBalancerCounters>& load_balancers, std::vector<MetricFamily>& families) {
  auto syns = family(MetricType::Counter, "hairpind_syns_total",
                     "Handshake attempts (first SYNs) from this node to a load balancer.");
  auto retransmits = family(MetricType::Counter, "hairpind_syn_retransmits_total",
                            "SYNs to a load balancer that repeat one already seen.");
  auto handshakes = family(MetricType::Counter, "hairpind_handshakes_total",
                           "Handshake attempts by what the load balancer answered within the handshake timeout.");
  auto mismatches = family(MetricType::Counter, "hairpind_mismatches_total",
                           "Handshake attempts that something other than the load balancer answered.");
  auto translations = family(MetricType::Counter, "hairpind_legitimate_translations_total",
                             "Handshake attempts that this node itself translated to their backend.");
  auto same_node =
      family(MetricType::Counter, "hairpind_same_node_answered_total",
             "Answered handshakes that the load balancer, in its own name, sent to a target on this node.");
  auto latency = family(MetricType::Histogram, "hairpind_handshake_seconds",
                        "Time from a client's first SYN to the load balancer's answer, of answered handshakes.");
  const auto add_if_any = [](MetricFamily& family, const Labels& labels, std::uint64_t value) {
    if (value != 0) {
      add(family, labels, value);
    }
  };
  for (const LoadBalancerCounters& counted : load_balancers) {
    const Labels lb = labels_of(counted.load_balancer, counted.service);
    add(syns, lb, counted.syns);
    add_if_any(retransmits, lb, counted.syn_retransmits);
    add(handshakes, with(lb, {"result", "answered"}), counted.answered);
    add(handshakes, with(lb, {"result", "mismatched"}), counted.mismatched);
    add_if_any(handshakes, with(lb, {"result", "refused"}), counted.refused);
    add(handshakes, with(lb, {"result", "unanswered"}), counted.unanswered);
    for (std::uint8_t cause = HP_CAUSE_NONE + 1; cause < HP_CAUSE_COUNT; cause++) {
      add_if_any(mismatches, with(lb, {"cause", std::string(to_string(static_cast<Cause>(cause)))}),
                 counted.mismatches.at(cause));
    }
    add_if_any(translations, lb, counted.translations);
    add_if_any(same_node, lb, counted.same_node_answered);
    if (counted.answered != 0) {
      latency.metric.push_back(latency_histogram(lb, counted));
    }
  }
  for (MetricFamily* const each :
       {&syns, &retransmits, &handshakes, &mismatches, &translations, &same_node, &latency}) {
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

void add_process(const ProcessUsage& usage, std::vector<MetricFamily>& families) {
  const auto add_one = [&](MetricType type, const char* name, const char* help, double value) {
    MetricFamily result = family(type, name, help);
    ClientMetric metric;
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    result.metric.push_back(std::move(metric));
    families.push_back(std::move(result));
  };
  add_one(MetricType::Counter, "process_cpu_seconds_total", "User and system CPU time spent.", usage.cpu_seconds);
  add_one(MetricType::Gauge, "process_start_time_seconds", "When the process began, Unix time.", usage.start_seconds);
  add_one(MetricType::Gauge, "process_resident_memory_bytes", "Resident memory.",
          static_cast<double>(usage.resident_bytes));
  add_one(MetricType::Gauge, "process_virtual_memory_bytes", "Virtual memory.",
          static_cast<double>(usage.virtual_bytes));
  add_one(MetricType::Gauge, "process_open_fds", "Open file descriptors.", static_cast<double>(usage.open_descriptors));
  add_one(MetricType::Gauge, "process_max_fds", "Most file descriptors that may be open.",
          static_cast<double>(usage.most_descriptors));
}

}  // namespace

std::string render_metrics(const MetricsSnapshot& snapshot) {
  std::vector<MetricFamily> families;
  add_load_balancers(snapshot.load_balancers, families);
  if (snapshot.kubernetes_synced) {
    families.push_back(client_mismatches(snapshot.client_mismatches));
  }
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
  const BuildInfo& info = snapshot.build;
  add(build,
      {{"version", info.version}, {"revision", info.revision}, {"libbpf", info.libbpf}, {"compiler", info.compiler}},
      1);
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
      Labels labels;
      add_service(labels, service);
      add(exposed, std::move(labels), pairs);
    }
    families.push_back(std::move(exposed));
  }
  if (snapshot.tls_certificate_current) {
    families.push_back(single(MetricType::Gauge, "hairpind_tls_certificate_current",
                              "0 while certificate and key in the files cannot be used, and those before stay in use.",
                              *snapshot.tls_certificate_current ? 1 : 0));
  }
  if (snapshot.process) {
    add_process(*snapshot.process, families);
  }

  if (const auto& told = snapshot.kubernetes_events) {
    auto events = family(MetricType::Counter, "hairpind_kubernetes_events_total",
                         "Kubernetes Events by what became of them: written, refused by the API server, or lost.");
    add(events, {{"result", "written"}}, told->written);
    add(events, {{"result", "refused"}}, told->refused);
    add(events, {{"result", "lost"}}, told->lost);
    families.push_back(std::move(events));
  }

  std::ostringstream text;
  prometheus::TextSerializer{}.Serialize(text, families);
  return text.str();
}

}  // namespace hairpind
