// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "hairpind/core/alert.hpp"
#include "hairpind/core/cluster.hpp"

namespace hairpind {

/// A local client's address that calls a load balancer.
struct Call {
  IpAddress client;
  Endpoint load_balancer;

  auto operator<=>(const Call&) const = default;
};

/// One Service's exposure on this node: clients whose next connection may be sent to a backend beside them.
struct Exposure {
  std::uint64_t pairs = 0;  ///< client pods for which a ready backend runs on this node
  Call example;             ///< one of them
  PodRef client;            ///< its pod
};

/// By Service::full_name().
std::map<std::string, Exposure> find_exposures(const Cluster& cluster, const std::vector<Call>& calls, SinceBoot now);

/// The warning that a Service's load balancer keeps client addresses while clients and backends share this node.
/// `preserved` says how that is known.
Alert compose_exposure_alert(const Service& service, const Exposure& exposure, const std::string& preserved,
                             const std::string& node, WallTime now);

}  // namespace hairpind
