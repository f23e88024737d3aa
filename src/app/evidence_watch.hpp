// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "fault.hpp"
#include "hairpind/core/alert.hpp"
#include "hairpind/core/compose_alert.hpp"
#include "hairpind/core/conntrack.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/evidence.hpp"

namespace hairpind {

/// From the packets that the kernel side copies to alerts that show them, and back to it whose it is to copy.
///
/// Owns: what has been gathered. Called by: the event loop. Never writes an alert and never reads a clock.
class EvidenceWatch {
 public:
  struct Kernel {
    std::function<std::optional<std::uint64_t>(const IncidentKey&)> read_count;
    std::function<ConntrackAnswer(const Attempt&)> ask_conntrack;
    /// Of how many of the pair's next attempts packets are to be copied.
    std::function<Result<void>(const CallingPair&, std::uint32_t)> set_captures;
  };
  explicit EvidenceWatch(Kernel kernel) : kernel_(std::move(kernel)) {}

  void on_event(const Event& event, SinceBoot now);
  void on_packet(CapturedPacket packet, SinceBoot now) { collector_.on_packet(std::move(packet), now); }
  /// About once a second.
  void on_turn(SinceBoot now);

  [[nodiscard]] std::vector<Alert> take_due(SinceBoot now, const AlertSources& sources);
  /// Also what may not be complete: of an agent that leaves.
  [[nodiscard]] std::vector<Alert> take_untold(SinceBoot now, const AlertSources& sources) {
    return take_due(now + EvidenceCollector::kGathering, sources);
  }
  [[nodiscard]] std::optional<SinceBoot> next_deadline() const { return collector_.next_deadline(); }

 private:
  void give_orders();

  Kernel kernel_;
  EvidenceCollector collector_;
  Fault ordering_;
};

}  // namespace hairpind
