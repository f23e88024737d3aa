// SPDX-License-Identifier: Apache-2.0
// How the agent tells: when alerts are due, with what they are completed, and what is done while nobody reads them.
#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "agent.hpp"

namespace hairpind {
namespace {

// Alerts wait for a slow reader. Polled, since a file in a pipe's place could not be watched by epoll.
constexpr std::chrono::milliseconds kSlowReader{20};

std::chrono::nanoseconds boot_to_wall() {
  return std::chrono::system_clock::now().time_since_epoch() - EventLoop::now();
}

}  // namespace

void Agent::look_at_problems(const std::vector<IncidentCount>& incidents,
                             const std::vector<LoadBalancerCounters>& rows) {
  const NodeView node{.cluster = cluster_ ? &cluster_->sync.cluster() : nullptr,
                      .synced = cluster_ && cluster_->sync.synced(),
                      .has_device = [this](std::uint32_t ifindex) { return devices_->name(ifindex).has_value(); }};
  const std::vector<Alert> alerts = problems_.look(incidents, rows, node, alert_sources(), EventLoop::now());
  for (const Alert& alert : alerts) {
    reporter_->close(alert.load_balancer);
  }
  board_.publish(problems_.status());
  write(alerts);
  keep_problems(!alerts.empty());
}

Result<void> Agent::restore_problems() {
  if (configuration_.state_directory.empty()) {
    return {};
  }
  auto file = ProblemFile::open(configuration_.state_directory);
  if (!file) {
    return std::unexpected(file.error());
  }
  problem_file_ = *std::move(file);
  std::vector<KeptProblem> kept = problem_file_->read(boot_to_wall());
  for (const KeptProblem& problem : kept) {
    if (problem.newest && problem.newest->example.learned) {
      watch_list_->on_learned(learned_.on_learned(problem.newest->example, EventLoop::now()));
    }
  }
  problems_.restore(std::move(kept));
  return {};
}

void Agent::keep_problems(bool at_once) {
  if (problem_file_ && (at_once || problem_file_->due(EventLoop::now()))) {
    problem_file_->write(problems_.keep(), boot_to_wall(), EventLoop::now());
  }
}

void Agent::tell_due() {
  if (cluster_) {
    cluster_->take_answers();
  }
  const AlertSources sources = alert_sources();
  std::vector<Alert> alerts = reporter_->take_due(EventLoop::now(), sources);
  problems_.mark_reopening(alerts, sources);
  std::ranges::move(evidence_->take_due(EventLoop::now(), sources), std::back_inserter(alerts));
  write(alerts);
  auto next = reporter_->next_deadline();
  if (const auto evidence = evidence_->next_deadline(); evidence && (!next || *evidence < *next)) {
    next = evidence;
  }
  if (next && (!scheduled_.deadline || *next < *scheduled_.deadline)) {
    scheduled_.deadline = next;
    loop_->at(*next, [this] {
      scheduled_.deadline.reset();
      tell_due();
    });
  }
}

void Agent::write(const std::vector<Alert>& alerts) {
  std::ranges::for_each(alerts, [this](const Alert& alert) { alerts_.write(alert); });
  if (alerts_.retry() && !std::exchange(scheduled_.slow_reader, true)) {
    loop_->after(kSlowReader, [this] {
      scheduled_.slow_reader = false;
      write({});
    });
  }
  if (cluster_) {
    cluster_->tell(alerts, EventLoop::now());
    board_.publish(cluster_->told());
  }
  board_.publish(AlertStatus{
      .written = alerts_.written(), .dropped = alerts_.dropped(), .records_invalid = kernel_->ring.malformed()});
}

AlertSources Agent::alert_sources() const {
  return {.node = configuration_.node_name,
          .boot_to_wall = boot_to_wall(),
          .interface_name = [this](std::uint32_t ifindex) { return devices_->name(ifindex); },
          .drop_reason_name = [this](std::uint32_t reason) -> std::optional<std::string> {
            std::string name = kernel_->features.drop_reason_name(reason);
            return name.empty() ? std::nullopt : std::optional(std::move(name));
          },
          .cluster = cluster_ ? &cluster_->sync.cluster() : nullptr,
          .identities = cluster_ ? &cluster_->identities : nullptr,
          .origin_of = [this](const Endpoint& load_balancer) { return watch_list_->origin_of(load_balancer); }};
}

}  // namespace hairpind
