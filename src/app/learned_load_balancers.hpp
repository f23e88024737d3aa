// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "fault.hpp"
#include "hairpind/core/event.hpp"
#include "hairpind/core/frontend.hpp"
#include "hairpind/core/load_balancer_counters.hpp"

namespace hairpind {

/// What is to be watched from now on, and what no longer.
struct LearnedChanges {
  std::vector<Frontend> added;
  std::vector<Frontend> removed;
};

/// Load balancers that nobody has named: the kernel side has seen them send a client's SYN back (S0).
///
/// Owns: which they are, until a day after the last call. Called by: the event loop. Bounded: when full, the device
/// whose clients have found most gives one up, and finds no more itself. Time and counts are arguments.
class LearnedLoadBalancers {
 public:
  static constexpr std::size_t kMost = 256;

  /// `attempt` has found its load balancer, perhaps not as the first.
  [[nodiscard]] LearnedChanges on_learned(const Attempt& attempt, SinceBoot now);
  /// The kernel's counters, all of them: who is still called, and who has not been for a day.
  [[nodiscard]] LearnedChanges on_counts(const std::vector<LoadBalancerCounters>& counted, SinceBoot now);

 private:
  struct Known {
    std::uint32_t ifindex = 0;  ///< of the client that found it
    std::uint64_t syns = 0;     ///< that the kernel had counted at the last look
    SinceBoot used{};
  };
  using Place = std::map<Endpoint, Known>::iterator;

  /// Whose turn it is to go for one of this device's; the end if nobody's.
  [[nodiscard]] Place find_victim(std::uint32_t ifindex);

  std::map<Endpoint, Known> known_;
  Fault full_;
};

}  // namespace hairpind
