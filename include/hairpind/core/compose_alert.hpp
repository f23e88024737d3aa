// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "hairpind/core/alert.hpp"
#include "hairpind/core/cilium_identities.hpp"
#include "hairpind/core/cluster.hpp"
#include "hairpind/core/incident_tracker.hpp"

namespace hairpind {

/// Where what an alert says beyond the incident itself comes from.
struct AlertSources {
  std::string node;
  WallTime::duration boot_to_wall{};  ///< CLOCK_REALTIME minus CLOCK_MONOTONIC
  std::function<std::optional<std::string>(std::uint32_t ifindex)> interface_name;
  std::function<std::optional<std::string>(std::uint32_t reason)> drop_reason_name;
  const Cluster* cluster = nullptr;              ///< where names come from; null = there is no Kubernetes
  const CiliumIdentities* identities = nullptr;  ///< likewise
  /// Who names a load balancer now; nullopt = nobody. Null = nobody names any.
  std::function<std::optional<LoadBalancerOrigin>(const Endpoint& load_balancer)> origin_of = nullptr;
};

/// Puts a due alert into words: severity, message, hint, names.
Alert compose_alert(const DueAlert& due, const AlertSources& sources);

}  // namespace hairpind
