// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hairpind/core/kubernetes.hpp"

namespace hairpind {

/// Will a client that shares a node with a backend fail to reach this Service's load balancer?
enum class Risk : std::uint8_t {
  kSafe,     ///< the client's address is not preserved, or the node translates the load balancer's address itself
  kAtRisk,   ///< it is preserved, by setting or by the provider's default
  kUnknown,  ///< nothing says
};

/// May a rule read this annotation of a Service? The others need not be kept.
bool is_judged(std::string_view annotation);

/// "safe", "at_risk", "unknown".
std::string_view to_string(Risk risk);

/// What a cluster says beyond the Service itself; from a file nothing.
struct ClusterFacts {
  std::optional<KubernetesVersion> newest_node = std::nullopt;  ///< the newest kubelet's
};

/// What `hairpind audit` says of a Service of type LoadBalancer, from its manifest and status.
struct Assessment {
  Risk risk = Risk::kUnknown;
  std::string reason;  ///< the setting, or the provider's default that applies since nothing pins it
  std::string fix;     ///< the line to add, or what to do; empty if safe
  std::string link;    ///< the provider's page, or empty
};

Assessment assess(const Service& service, const ClusterFacts& facts = {});

/// The hint of an alert about this Service's load balancer: what to change for its controller, what that costs, and
/// the provider's page at the end. Falls back to advice for every provider where the controller is not known.
std::string hint_for(const Service& service);

}  // namespace hairpind
