// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>

#include "fault.hpp"
#include "hairpind/core/address.hpp"
#include "hairpind/core/error.hpp"

namespace hairpind {

/// By which devices the kernel reaches the load balancers that are watched for.
///
/// Owns: what it has been told of each. Called by: the event loop. Never decides what follows.
class LoadBalancerRoutes {
 public:
  using Ask = std::function<Result<std::set<std::uint32_t>>(const IpAddress&)>;

  explicit LoadBalancerRoutes(Ask ask) : ask_(std::move(ask)) {}

  /// Those that are watched for now; who is new is asked about at once, or with the next turns where they are many.
  /// True if devices() is not what it was.
  bool set_load_balancers(const std::set<IpAddress>& addresses);
  /// Once a second: asks again, for some at a time, about what a change of routes leaves in doubt. True likewise.
  bool on_turn(bool routes_changed);

  [[nodiscard]] const std::map<IpAddress, std::set<std::uint32_t>>& devices() const { return devices_; }

 private:
  bool ask_some();

  Ask ask_;
  std::map<IpAddress, std::set<std::uint32_t>> devices_;  ///< ifindexes
  std::set<IpAddress> doubtful_;                          ///< to be asked about, of devices_
  Fault asking_;
};

}  // namespace hairpind
