// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/load_balancer_counters.hpp"

#include <algorithm>

namespace hairpind {

LoadBalancerCounters LoadBalancerCounters::from_abi(const hp_lb_counters& counters) {
  LoadBalancerCounters result{.load_balancer = Endpoint::from_abi(counters.lb)};
  result.syns = counters.syns;
  result.syn_retransmits = counters.syn_retransmits;
  result.answered = counters.answered;
  result.mismatched = counters.mismatched;
  result.refused = counters.refused;
  result.unanswered = counters.unanswered;
  result.translations = counters.translations;
  std::ranges::copy(counters.mismatches, result.mismatches.begin());
  std::ranges::copy(counters.unpaired, result.unpaired.begin());
  std::ranges::copy(counters.latencies, result.latencies.begin());
  result.same_node_answered = counters.same_node_answered;
  result.latency_sum = std::chrono::nanoseconds(counters.latency_ns);
  return result;
}

}  // namespace hairpind
