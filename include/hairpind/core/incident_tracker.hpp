// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hairpind/core/alert.hpp"
#include "hairpind/core/event.hpp"

namespace hairpind {

/// One misdirected pair: what an incident is.
struct IncidentKey {
  IpAddress client;
  Endpoint load_balancer;
  Endpoint responder;  ///< as the client sees it; empty where nothing answered
  Cause cause = Cause::kNone;

  auto operator<=>(const IncidentKey&) const = default;

  /// 16 lowercase hex digits, the same on every node and after every restart (FNV-1a over the fields). Of a client with
  /// a link-local address the same on `node` alone: other nodes have others by that address.
  [[nodiscard]] std::string id(std::string_view node = {}) const;

  static IncidentKey of(const Attempt& attempt);
  [[nodiscard]] hp_incident_key to_abi() const;
};

/// An incident as the kernel side counts it.
struct IncidentCount {
  IncidentKey key;
  std::uint64_t count = 0;  ///< misdirected attempts since the agent started
  SinceBoot last_event{};   ///< newest example; 0 if none has been offered to the ring yet
  Attempt example;          ///< that one
};

/// An alert whose time has come; compose_alert puts it into words.
struct DueAlert {
  AlertEvent event = AlertEvent::kAsymmetricHandshake;
  IncidentKey key;
  std::uint64_t count = 0;
  SinceBoot time{};  ///< of the example
  Attempt example;
  std::string drop_symbol;
};

/// Turns events and counts into incidents and decides when each is told: once when first seen, after waiting briefly
/// for its outcome, then at most once an interval while its count grows; and when it is seen again after it was closed.
///
/// Pure: time and counts come in as arguments. Not thread safe; owned by the event loop.
class IncidentTracker {
 public:
  struct Options {
    std::chrono::nanoseconds outcome_wait = std::chrono::milliseconds(200);
    /// From one alert of an incident to the next; the last one from then on. Not empty.
    std::vector<std::chrono::nanoseconds> repeat_intervals{std::chrono::minutes(1), std::chrono::minutes(5),
                                                           std::chrono::minutes(15), std::chrono::hours(1)};
  };
  /// Reads the exact count of an incident at the moment it is told; nullopt if it cannot be read.
  using CountReader = std::function<std::optional<std::uint64_t>(const IncidentKey&)>;

  explicit IncidentTracker(Options options) : options_(std::move(options)) {}

  void on_event(const Event& event, SinceBoot now);

  /// The kernel's counts, all of them. Finds incidents whose event was lost to a full ring, so that no
  /// incident goes untold, and forgets those that are not listed any more.
  void on_counts(const std::vector<IncidentCount>& counts, SinceBoot now);

  /// What is known of this load balancer's incidents has been told to be over: whatever comes next of them is told at
  /// once, as at first sight.
  void close(const Endpoint& load_balancer);

  /// Alerts due at `now`, oldest incident first.
  std::vector<DueAlert> take_due(SinceBoot now, const CountReader& read_count);

  /// At the end: first alerts that still wait for an outcome, now. Repeats have been told of.
  std::vector<DueAlert> take_untold(SinceBoot now, const CountReader& read_count);

  /// When take_due next has something to give, unless more arrives; nullopt if nothing waits.
  [[nodiscard]] std::optional<SinceBoot> next_deadline() const;

 private:
  struct Incident {
    Attempt example;
    std::string drop_symbol;
    SinceBoot example_time{};
    SinceBoot due{};      ///< of the next alert; meaningful while waiting
    bool waiting = true;  ///< there is something to tell
    bool told = false;    ///< the first alert is out, since it was last closed
    bool closed = false;  ///< it is not told, and nothing has been seen of it since it was closed
    std::size_t repeats = 0;
    SinceBoot last_told{};
    std::uint64_t told_count = 0;
    bool example_told = false;      ///< an alert has been made of this example
    std::uint64_t known_count = 0;  ///< newest from on_counts
  };

  void reopen(Incident& incident, SinceBoot now) const;
  static void take_outcome(Incident& incident, const Event& event);
  void wait_for_repeat(Incident& incident) const;
  std::vector<DueAlert> take(SinceBoot now, const CountReader& read_count,
                             const std::function<bool(const Incident&)>& is_due);

  Options options_;
  std::map<IncidentKey, Incident> incidents_;
};

}  // namespace hairpind
