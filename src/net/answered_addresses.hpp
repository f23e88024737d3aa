// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "hairpind/core/address.hpp"

namespace hairpind {

/// The addresses that a question to DNS has been answered with, each with when last. Plain data.
class AnsweredAddresses {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void add(const std::vector<IpAddress>& addresses, Time now);
  void forget_before(Time time);
  /// Leaves no more than `most`, the newest, and of those the ones that are `told` of already: a zone that answers with
  /// others each time must not take the room of the rest. Returns how many had to go.
  std::size_t keep_newest(std::size_t most, const std::set<IpAddress>& told);

  [[nodiscard]] const std::map<IpAddress, Time>& all() const { return last_answered_; }

 private:
  std::map<IpAddress, Time> last_answered_;
};

}  // namespace hairpind
