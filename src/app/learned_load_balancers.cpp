// SPDX-License-Identifier: Apache-2.0
#include "learned_load_balancers.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

namespace hairpind {
namespace {

constexpr std::chrono::hours kUnused{24};

Frontend frontend(const Endpoint& load_balancer) {
  return {.address = load_balancer.address, .port = load_balancer.port};
}

}  // namespace

LearnedLoadBalancers::Place LearnedLoadBalancers::find_victim(std::uint32_t ifindex) {
  std::map<std::uint32_t, std::size_t> found_by;
  for (const auto& [load_balancer, known] : known_) {
    found_by[known.ifindex]++;
  }
  const auto most = std::ranges::max_element(found_by, {}, [](const auto& device) { return device.second; });
  if (most == found_by.end() || most->second <= found_by[ifindex] + 1) {
    return known_.end();
  }
  auto victim = known_.end();
  for (auto place = known_.begin(); place != known_.end(); ++place) {
    if (place->second.ifindex == most->first && (victim == known_.end() || place->second.used < victim->second.used)) {
      victim = place;
    }
  }
  return victim;
}

LearnedChanges LearnedLoadBalancers::on_learned(const Attempt& attempt, SinceBoot now) {
  LearnedChanges changes;
  if (const auto known = known_.find(attempt.load_balancer); known != known_.end()) {
    known->second.used = now;
    // What the kernel has had no room for is told again.
    changes.added.push_back(frontend(attempt.load_balancer));
    return changes;
  }
  if (known_.size() >= kMost) {
    const auto victim = find_victim(attempt.syn_ifindex);
    if (victim == known_.end()) {
      if (full_.begins()) {
        spdlog::warn(
            "load balancer {} was found by a SYN that it sent back, and there are {} of that kind already: its "
            "failures are told, but what it answers well is not counted; name it with --lb",
            attempt.load_balancer.to_string(), kMost);
      }
      return changes;
    }
    changes.removed.push_back(frontend(victim->first));
    known_.erase(victim);
  }
  known_[attempt.load_balancer] = {.ifindex = attempt.syn_ifindex, .syns = 0, .used = now};
  changes.added.push_back(frontend(attempt.load_balancer));
  spdlog::info("load balancer {} found: it has sent a SYN of {} back, to {}; watched until a day after the last call",
               attempt.load_balancer.to_string(), attempt.client.to_string(), attempt.returned.to_string());
  return changes;
}

LearnedChanges LearnedLoadBalancers::on_counts(const std::vector<LoadBalancerCounters>& counted, SinceBoot now) {
  LearnedChanges changes;
  if (known_.empty()) {
    return changes;
  }
  for (const LoadBalancerCounters& row : counted) {
    const auto found = known_.find(row.load_balancer);
    if (found != known_.end() && found->second.syns != row.syns) {
      found->second.syns = row.syns;
      found->second.used = now;
    }
  }
  std::erase_if(known_, [&](const auto& entry) {
    const bool is_unused = now - entry.second.used > kUnused;
    if (is_unused) {
      changes.removed.push_back(frontend(entry.first));
    }
    return is_unused;
  });
  if (known_.size() < kMost) {
    static_cast<void>(full_.ends());
  }
  return changes;
}

}  // namespace hairpind
