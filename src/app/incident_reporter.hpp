// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "fault.hpp"
#include "hairpind/core/alert.hpp"
#include "hairpind/core/compose_alert.hpp"
#include "hairpind/core/conntrack.hpp"
#include "hairpind/core/incident_tracker.hpp"

namespace hairpind {

/// From the kernel side's events and counts to alerts whose time has come.
///
/// Owns: the open incidents. Called by: the event loop. Never writes an alert and never reads a clock: alerts are the
/// caller's to write, time is an argument.
class IncidentReporter {
 public:
  struct Kernel {
    std::function<std::optional<std::uint64_t>(const IncidentKey&)> read_count;
    /// What conntrack knows of an attempt, and the kernel side's question answered with it.
    std::function<ConntrackAnswer(const Attempt&)> ask_conntrack;
    std::function<Result<void>(const Attempt&, const ConntrackAnswer&)> answer_conntrack;
  };
  IncidentReporter(Kernel kernel, IncidentTracker::Options options)
      : kernel_(std::move(kernel)), tracker_(std::move(options)) {}

  void on_event(const Event& event, SinceBoot now);
  /// Cilium's identities in the records since the last call, for whom they stand for to be asked.
  [[nodiscard]] std::set<std::uint32_t> take_identities() { return std::exchange(identities_, {}); }
  /// The kernel's counts, all of them: finds what the ring had no room for. Returns those that have been quiet for so
  /// long that their count may start over: the kernel's table is bounded.
  [[nodiscard]] std::vector<IncidentKey> on_counts(const std::vector<IncidentCount>& incidents, SinceBoot now);

  /// It has been told that this load balancer's incidents are over.
  void close(const Endpoint& load_balancer) { tracker_.close(load_balancer); }

  [[nodiscard]] std::vector<Alert> take_due(SinceBoot now, const AlertSources& sources);
  /// At the end: what has not been told at all, its outcome known or not.
  [[nodiscard]] std::vector<Alert> take_untold(SinceBoot now, const AlertSources& sources);
  [[nodiscard]] std::optional<SinceBoot> next_deadline() const { return tracker_.next_deadline(); }

 private:
  void answer(const Attempt& asked);
  [[nodiscard]] std::vector<Alert> compose(std::vector<DueAlert> due, const AlertSources& sources) const;

  Kernel kernel_;
  IncidentTracker tracker_;
  Fault answering_;
  std::set<std::uint32_t> identities_;
};

}  // namespace hairpind
