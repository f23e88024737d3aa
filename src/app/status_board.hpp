// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "hairpind/bpf/counter_reader.hpp"
#include "hairpind/bpf/programs.hpp"
#include "hairpind/core/alert.hpp"
#include "hairpind/core/kubernetes_events.hpp"
#include "hairpind/core/mismatch_ledger.hpp"
#include "hairpind/output/metrics.hpp"

namespace hairpind {

/// What the programs are on.
struct AttachStatus {
  std::uint64_t pods = 0;
  std::uint64_t uplinks = 0;
  std::uint64_t failures = 0;
  std::uint64_t blind = 0;       ///< pods' devices of which packets come that the programs do not see
  bool complete = false;         ///< each device found at the start has been tried once
  bool nothing_watched = false;  ///< there are devices to watch, and all of them failed
};

/// What is watched for.
struct WatchStatus {
  std::map<std::string, std::uint64_t> by_origin;  ///< load balancers wanted, by LoadBalancerOrigin
  std::uint64_t watched = 0;
  std::uint64_t unwatched = 0;   ///< wanted, and the kernel's table has no room
  std::vector<Endpoint> listed;  ///< those that are watched by address and port; empty if there are too many
};

/// What became of alerts.
struct AlertStatus {
  std::map<AlertEvent, std::uint64_t> written;
  std::uint64_t dropped = 0;
  std::uint64_t records_invalid = 0;
};

/// What the cluster's names make of the kernel's counters, as of the last tick.
struct NamedCounts {
  std::map<Endpoint, std::string> services;  ///< "namespace/name" by load balancer with counters; "" if not known
  MismatchCounts mismatches;
};

/// The load balancers that have been called from this node, as of the last tick.
using ProblemStatus = std::map<Endpoint, ProblemStanding>;

/// All that is published, as of one moment.
struct Status {
  AttachStatus attached;
  WatchStatus watched;
  AlertStatus alerts;
  std::uint64_t pending_syns = 0;
  std::optional<bool> kubernetes_synced;                   ///< nullopt: no Kubernetes
  std::optional<KubernetesEventCounts> kubernetes_events;  ///< nullopt: not asked for
  std::map<std::string, std::uint64_t> exposed_pairs;
  std::shared_ptr<const NamedCounts> named = std::make_shared<NamedCounts>();  ///< in Kubernetes only
  std::shared_ptr<const ProblemStatus> problems = std::make_shared<ProblemStatus>();
  std::shared_ptr<const std::vector<std::string>> devices =  ///< what is watched and why, a line for each role
      std::make_shared<std::vector<std::string>>();
  std::shared_ptr<const CounterReader> counters;  ///< null until the programs are loaded
  LoadOutcome loaded;                             ///< likewise
  SinceBoot last_turn{};                          ///< of the event loop; 0 = not yet
};

/// What the event loop tells the HTTP server's thread: the only state that both touch.
///
/// Owns: the newest published values. Called by: any thread; the loop publishes, everybody reads. Never calls anybody.
class StatusBoard {
 public:
  void publish(AttachStatus status) { set(&Status::attached, status); }
  void publish(WatchStatus status) { set(&Status::watched, std::move(status)); }
  void publish(AlertStatus status) { set(&Status::alerts, std::move(status)); }
  void publish(std::optional<KubernetesEventCounts> counts) { set(&Status::kubernetes_events, counts); }
  void publish(std::shared_ptr<const NamedCounts> named) { set(&Status::named, std::move(named)); }
  void publish(std::shared_ptr<const ProblemStatus> problems) { set(&Status::problems, std::move(problems)); }
  void publish(std::shared_ptr<const CounterReader> counters) { set(&Status::counters, std::move(counters)); }
  void publish(std::shared_ptr<const std::vector<std::string>> devices) { set(&Status::devices, std::move(devices)); }
  void publish(LoadOutcome loaded) { set(&Status::loaded, std::move(loaded)); }
  void publish_pending(std::uint64_t syns) { set(&Status::pending_syns, syns); }
  void publish_synced(bool synced) { set(&Status::kubernetes_synced, std::optional(synced)); }
  void publish_exposed(std::map<std::string, std::uint64_t> pairs) { set(&Status::exposed_pairs, std::move(pairs)); }
  /// The loop has come round.
  void publish_turn(SinceBoot now) { set(&Status::last_turn, now); }

  [[nodiscard]] Status read() const;

 private:
  template <typename Value>
  void set(Value Status::* member, Value value) {
    // What was there is freed by the caller, after the lock.
    const std::scoped_lock lock(mutex_);
    std::swap(status_.*member, value);
  }

  mutable std::mutex mutex_;
  Status status_;
};

/// /healthz: the loop turns. It does so at least once a second; ten missed turns are a stall, not a busy moment.
[[nodiscard]] bool is_healthy(const Status& status, SinceBoot now);
/// /readyz: healthy, everything has been attached, and of what is to be watched something is.
[[nodiscard]] bool is_ready(const Status& status, SinceBoot now);

}  // namespace hairpind
