// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "hairpind/abi.h"
#include "hairpind/core/address.hpp"

namespace hairpind {

/// Handshakes with one load-balancer endpoint since the agent started: abi.h's hp_lb_counters, decoded. The empty
/// endpoint collects what did not fit into the kernel's table.
struct LoadBalancerCounters {
  Endpoint load_balancer;
  /// "namespace/name"; the kernel does not know it: empty until somebody who does fills it in.
  // NOLINTNEXTLINE(readability-redundant-member-init): g++ warns of designated initializers that leave it out
  std::string service{};
  std::uint64_t syns = 0;
  std::uint64_t syn_retransmits = 0;
  std::uint64_t answered = 0;
  std::uint64_t mismatched = 0;
  std::uint64_t refused = 0;
  std::uint64_t unanswered = 0;
  std::uint64_t translations = 0;
  std::array<std::uint64_t, HP_CAUSE_COUNT> mismatches{};  ///< by cause
  std::array<std::uint64_t, HP_CAUSE_COUNT> unpaired{};    ///< those among them that found no room in `incidents`
  std::uint64_t same_node_answered =
      0;  ///< of the answered: by way of a target on this node, in the load balancer's name
  /// Of the answered: how many took no longer than each of abi.h's HP_LATENCY_BOUNDS_US, not cumulative; the last
  /// is the slower rest.
  std::array<std::uint64_t, HP_LATENCY_BUCKET_COUNT> latencies{};
  std::chrono::nanoseconds latency_sum{};

  static LoadBalancerCounters from_abi(const hp_lb_counters& counters);
};

}  // namespace hairpind
