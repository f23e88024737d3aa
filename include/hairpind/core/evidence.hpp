// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "hairpind/core/captured_packet.hpp"
#include "hairpind/core/event.hpp"
#include "hairpind/core/incident_tracker.hpp"

namespace hairpind {

/// A misdirected attempt and what its packets were, in their order.
struct Evidence {
  Event mismatch;  ///< with the newest outcome
  std::vector<CapturedPacket> packets;
};

/// Gathers the packets that the kernel side copies, and finds those of misdirected attempts. Of which pairs it is to
/// copy some is decided here: while an incident lacks evidence, the next attempts of its pair, until one is
/// misdirected, too.
///
/// Pure: time comes in as an argument. Bounded: what is least likely to be told of goes first. Not thread safe; owned
/// by the event loop.
class EvidenceCollector {
 public:
  /// An attempt that is misdirected is told of so much later: its answers, its end and its first retransmit have come.
  static constexpr std::chrono::seconds kGathering{2};
  /// Of an incident so many attempts are told of within kPeriod. Whoever has not failed for so long is left alone.
  static constexpr unsigned kAttemptsAPeriod = 2;
  static constexpr std::chrono::hours kPeriod{1};
  /// At once; a healthy attempt among them is no evidence.
  static constexpr std::uint32_t kMostAtOnce = 8;
  static constexpr std::size_t kAttempts = 128;
  static constexpr std::size_t kIncidents = 256;
  static constexpr std::size_t kPairs = HP_CAPTURES;

  void on_event(const Event& event, SinceBoot now);
  void on_packet(CapturedPacket packet, SinceBoot now);
  /// About once a second: what has been waited for in vain, and pairs whose attempts turned out well.
  void on_turn(SinceBoot now);

  /// What is complete at `now`.
  std::vector<Evidence> take_due(SinceBoot now);
  /// When take_due next has something to give; nullopt if nothing waits.
  [[nodiscard]] std::optional<SinceBoot> next_deadline() const;

  /// What has changed since the last call: of how many of a pair's next attempts the kernel side is to copy the
  /// packets.
  [[nodiscard]] std::vector<std::pair<CallingPair, std::uint32_t>> take_orders();

 private:
  struct Incident {
    SinceBoot since{};  ///< when its period began
    SinceBoot last{};   ///< newest mismatch
    unsigned told = 0;  ///< attempts chosen in this period
  };
  struct Gathered {
    std::vector<CapturedPacket> packets;
    SinceBoot last{};               ///< newest packet or event
    std::optional<Event> mismatch;  ///< chosen: it is to be told
    SinceBoot due{};
    bool over = false;  ///< told, or not to be told
  };
  struct Ordered {
    std::uint32_t attempts = 1;
    bool used = false;  ///< one has begun since the order
    SinceBoot since{};
  };

  static CallingPair pair_of(const AttemptName& attempt) { return {attempt.client.address, attempt.load_balancer}; }
  Incident& incident_of(const IncidentKey& key, SinceBoot now);
  Gathered* gathered_of(const AttemptName& attempt, SinceBoot now);
  void choose(const Event& event, Incident& incident, SinceBoot now);
  void order_what_is_missing(const CallingPair& pair, SinceBoot now);
  void cancel(std::map<CallingPair, Ordered>::iterator ordered);

  std::map<IncidentKey, Incident> incidents_;
  std::map<AttemptName, Gathered> attempts_;
  std::map<CallingPair, Ordered> pairs_;
  std::map<CallingPair, std::uint32_t> orders_;  ///< not taken yet
};

}  // namespace hairpind
