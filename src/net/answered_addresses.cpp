// SPDX-License-Identifier: Apache-2.0
#include "answered_addresses.hpp"

#include <algorithm>
#include <span>
#include <tuple>

namespace hairpind {

void AnsweredAddresses::add(const std::vector<IpAddress>& addresses, Time now) {
  for (const IpAddress& address : addresses) {
    last_answered_[address] = now;
  }
}

void AnsweredAddresses::forget_before(Time time) {
  std::erase_if(last_answered_, [&](const auto& each) { return each.second < time; });
}

std::size_t AnsweredAddresses::keep_newest(std::size_t most, const std::set<IpAddress>& told) {
  if (last_answered_.size() <= most) {
    return 0;
  }
  std::vector<std::map<IpAddress, Time>::iterator> order;
  for (auto each = last_answered_.begin(); each != last_answered_.end(); ++each) {
    order.push_back(each);
  }
  // Newest first; of equals those that have been told, then the lower addresses.
  std::ranges::sort(order, [&](const auto& a, const auto& b) {
    return std::tuple(a->second, told.contains(a->first), b->first) >
           std::tuple(b->second, told.contains(b->first), a->first);
  });
  for (const auto& each : std::span(order).subspan(most)) {
    last_answered_.erase(each);
  }
  return order.size() - most;
}

}  // namespace hairpind
