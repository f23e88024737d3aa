// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/net/network_view.hpp"

namespace hairpind {

enum class InterfaceRole : std::uint8_t { kPod, kUplink };

/// What says so.
enum class InterfaceReason : std::uint8_t {
  kAskedFor,       ///< a glob
  kPeerElsewhere,  ///< veth or netkit whose other end is in another network namespace
  kPodsAddress,    ///< the API's address of a pod of this node is routed to it
  kNetworkCard,    ///< no link kind, or a bond or team of such
  kDefaultRoute,   ///< has one
  kLoadBalancer,   ///< the kernel's route to a load balancer
  kBridgePort,     ///< not a pod's, of a bridge that is the way out
  kNodesAddress,   ///< nothing else is known, and the node has an address of a subnet there
};

struct SelectedInterface {
  InterfaceRole role = InterfaceRole::kPod;
  InterfaceReason reason = InterfaceReason::kPeerElsewhere;

  bool operator==(const SelectedInterface&) const = default;
};

/// "pod interface", "uplink".
std::string_view to_string(InterfaceRole role);
/// In words for the log: "a network card".
std::string_view to_string(InterfaceReason reason);

/// Shell globs (fnmatch(3)) on device names that replace discovery; empty = discover.
struct InterfaceSelection {
  std::vector<std::string> pod_globs;
  std::vector<std::string> uplink_globs;
};

/// What is known of devices beyond rtnetlink's lists.
struct InterfaceHints {
  /// The devices by which the kernel itself reaches each load balancer.
  std::map<IpAddress, std::set<std::uint32_t>> load_balancers;
  std::set<IpAddress> pods;  ///< this node's, as the API server has them

  bool operator==(const InterfaceHints&) const = default;
};

/// Which devices to watch, and as what. Found by themselves:
///
/// Pods' devices are veth or netkit with their other end in another network namespace, whatever routes they have. Where
/// the node has a network card that is up, none of them is an uplink: a pod may have a default route led to it, or
/// announce itself as router.
///
/// Uplinks are network cards (a bond or team in place of its ports, which all passes), devices with a default route,
/// and those by which load balancers are reached. Of a bridge that is one of these, the ports are watched that are not
/// pods': what passes between ports never passes the bridge's own device.
///
/// A node without a card is a container, and its uplink looks like a pod's device. Then it is what the main table's
/// default route names, or the way to a load balancer; only if there is none, what any default route names, then what
/// router advertisements do. A device to which a pod's address is routed is never one.
std::map<std::uint32_t, SelectedInterface> select_interfaces(const NetworkView& view,
                                                             const InterfaceSelection& selection,
                                                             const InterfaceHints& hints = {});

/// A line for each role and reason, with the devices' names.
std::vector<std::string> describe(const std::map<std::uint32_t, SelectedInterface>& selected, const NetworkView& view);

/// Globs of the selection that match no device now.
std::vector<std::string> unmatched_globs(const NetworkView& view, const InterfaceSelection& selection);

}  // namespace hairpind
