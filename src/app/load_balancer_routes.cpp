// SPDX-License-Identifier: Apache-2.0
#include "load_balancer_routes.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace hairpind {
namespace {

// A question takes about ten microseconds.
constexpr std::size_t kAskedATurn = 512;

}  // namespace

bool LoadBalancerRoutes::set_load_balancers(const std::set<IpAddress>& addresses) {
  bool changed = std::erase_if(devices_, [&](const auto& entry) { return !addresses.contains(entry.first); }) != 0;
  std::erase_if(doubtful_, [&](const IpAddress& address) { return !addresses.contains(address); });
  for (const IpAddress& address : addresses) {
    if (devices_.try_emplace(address).second) {
      doubtful_.insert(address);
      changed = true;
    }
  }
  return ask_some() || changed;
}

bool LoadBalancerRoutes::on_turn(bool routes_changed) {
  if (routes_changed) {
    for (const auto& [address, devices] : devices_) {
      doubtful_.insert(doubtful_.end(), address);
    }
  }
  return ask_some();
}

bool LoadBalancerRoutes::ask_some() {
  bool changed = false;
  for (std::size_t asked = 0; asked < kAskedATurn && !doubtful_.empty(); asked++) {
    const IpAddress address = doubtful_.extract(doubtful_.begin()).value();
    auto answer = ask_(address);
    if (!answer) {
      if (asking_.begins()) {
        spdlog::warn("{}; keeping what is known of it, asking again when routes change", answer.error().message);
      }
      continue;
    }
    static_cast<void>(asking_.ends());
    std::set<std::uint32_t>& known = devices_.at(address);
    changed = changed || known != *answer;
    known = *std::move(answer);
  }
  return changed;
}

}  // namespace hairpind
