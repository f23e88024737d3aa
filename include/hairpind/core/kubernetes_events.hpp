// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hairpind/core/alert.hpp"
#include "hairpind/core/cluster.hpp"

namespace hairpind {

/// What an Event is about, as its involvedObject says.
struct EventObject {
  std::string_view api_version;  ///< a literal, as `kind`: "v1"
  std::string_view kind;         ///< "Pod", "Service", "Gateway", "Ingress"
  std::string namespace_name;
  std::string name;
  std::string uid;  ///< empty where not known: of all but pods, since a cluster may have a great many Services

  auto operator<=>(const EventObject&) const = default;
};

/// A core/v1 Event, as it shall be at the API server.
struct KubernetesEvent {
  std::string name;  ///< metadata.name
  EventObject object;
  std::string_view reason;  ///< a literal
  bool warning = true;      ///< type Warning, else Normal
  std::string message;      ///< one printable line of KubernetesEvents::kLongestMessage bytes at most
  WallTime first;
  WallTime last;
  std::uint32_t count = 0;   ///< up to what its int32 holds
  bool told_before = false;  ///< it is there already, with older numbers, unless it has expired
};

/// What became of Events.
struct KubernetesEventCounts {
  std::uint64_t written = 0;
  std::uint64_t refused = 0;  ///< by the API server
  std::uint64_t lost = 0;     ///< for want of room
};

/// Decides which Events there shall be: on the client's pod and on the Service (or Gateway, Ingress) of its load
/// balancer, for each of three reasons one an hour at most. What happens meanwhile is counted and goes into the next.
///
/// Pure: time comes in as arguments. Not thread safe; owned by the event loop.
class KubernetesEvents {
 public:
  static constexpr std::chrono::hours kInterval{1};
  /// After so long without news there is a new Event, which counts from one.
  static constexpr std::chrono::hours kForgotten{24};
  /// Objects and reasons at once, and so Events an hour: of more nothing is told.
  static constexpr std::size_t kMost = 512;
  /// The API server's own limit for Events with an eventTime.
  static constexpr std::size_t kLongestMessage = 1024;

  /// An alert has been told: of a failure, or of its end. Others are passed over.
  void on_alert(const Alert& alert, const Cluster& cluster, SinceBoot now);
  /// Those whose hour is over, or that are new.
  [[nodiscard]] std::vector<KubernetesEvent> take_due(SinceBoot now);
  /// What found no room.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  struct Record {
    KubernetesEvent event;
    bool untold = false;  ///< there is news in it
    std::optional<SinceBoot> told;
    SinceBoot seen{};        ///< its newest news
    Endpoint load_balancer;  ///< likewise; of a failure
    bool failing = false;    ///< nobody has told the object of its end
  };
  using Key = std::pair<EventObject, std::string_view>;  ///< and the reason

  [[nodiscard]] static std::set<EventObject> concerned(const Alert& alert, const Cluster& cluster);
  std::uint64_t attempts_since(const Alert& alert, SinceBoot now);
  Record* record_of(const Key& key, const Alert& alert, SinceBoot now);
  std::string new_name(const std::string& object, WallTime time);

  std::map<Key, Record> records_;
  std::map<std::string, std::pair<std::uint64_t, SinceBoot>> counted_;  ///< attempts by incident, and when last told
  std::int64_t stamp_ = 0;                                              ///< of the newest name
  std::uint64_t lost_ = 0;
};

}  // namespace hairpind
