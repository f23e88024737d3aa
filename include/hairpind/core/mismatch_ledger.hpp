// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "hairpind/abi.h"
#include "hairpind/core/address.hpp"
#include "hairpind/core/incident_tracker.hpp"
#include "hairpind/core/load_balancer_counters.hpp"

namespace hairpind {

/// One time series of hairpind_mismatches_total.
struct MismatchSeries {
  Endpoint load_balancer;        ///< empty: what did not fit into the kernel's table
  std::string service;           ///< "namespace/name"; empty where not known
  Cause cause = Cause::kNone;    ///< never kNone
  std::string client_namespace;  ///< empty where not known, "other" beyond the limit

  auto operator<=>(const MismatchSeries&) const = default;
};

using MismatchCounts = std::map<MismatchSeries, std::uint64_t>;

/// Tells the kernel's mismatches apart by whom they befell. The kernel counts by pair of addresses; names come and
/// go, so each increase is booked under the names of the moment it is seen, and stays there.
///
/// Every mismatch that the kernel counted is booked once: the sum over a load balancer's series is the kernel's
/// count, as of the last call. Pure; not thread safe; owned by the event loop.
class MismatchLedger {
 public:
  /// Series with a client's namespace; what would be one more is booked under "other".
  static constexpr std::size_t kNamedSeries = 500;

  /// The namespace of an incident's client; empty if not known.
  using NamespaceOf = std::function<std::string(const IncidentCount&)>;

  /// The kernel's counts, all of them: the incidents, then the load balancers, read in this order, so that the load
  /// balancer of each incident has its row or never gets one. Each row with the Service whose address it is now.
  void book(const std::vector<IncidentCount>& incidents, const std::vector<LoadBalancerCounters>& load_balancers,
            const NamespaceOf& namespace_of);
  /// The kernel's count of this incident starts over.
  void forget(const IncidentKey& key) { seen_incidents_.erase(key); }

  [[nodiscard]] const MismatchCounts& counts() const { return counts_; }

 private:
  void add(MismatchSeries series, std::uint64_t increase);

  std::map<IncidentKey, std::uint64_t> seen_incidents_;
  std::map<Endpoint, std::array<std::uint64_t, HP_CAUSE_COUNT>> seen_unpaired_;
  MismatchCounts counts_;
  std::size_t named_series_ = 0;
};

}  // namespace hairpind
