// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "hairpind/core/address.hpp"

struct nlmsghdr;

namespace hairpind {

/// One network device of this namespace, as rtnetlink(7) describes it.
struct NetworkInterface {
  std::uint32_t ifindex = 0;
  std::string name;
  std::string kind;                      ///< IFLA_INFO_KIND: "veth", "netkit", "bridge"; empty for hardware
  std::uint32_t master_ifindex = 0;      ///< bridge, bond or VRF it belongs to, 0 if none
  bool peer_in_other_namespace = false;  ///< IFLA_LINK_NETNSID
  bool has_default_route = false;        ///< in any table, either family
  bool loopback = false;
  bool default_route_announced = false;  ///< it has no other than what router advertisements on it said

  bool operator==(const NetworkInterface&) const = default;
};

/// What this network namespace looks like.
struct NetworkView {
  std::map<std::uint32_t, NetworkInterface> interfaces;  ///< by ifindex
  std::set<IpAddress> addresses;                         ///< the node's own, link-local IPv6 left out

  bool operator==(const NetworkView&) const = default;
};

/// What rtnetlink has told so far: the view before it is put together.
struct NetworkState {
  std::map<std::uint32_t, NetworkInterface> interfaces;
  std::set<std::pair<std::uint32_t, IpAddress>> addresses;  ///< an address may be on several devices
  std::set<std::uint32_t> default_routes;                   ///< ifindexes
  std::set<std::uint32_t> configured_default_routes;        ///< of these: not by router advertisement
  bool routes_stale = false;                                ///< a default route may have come or gone
  std::set<std::uint32_t> filters_changed;                  ///< ifindexes
};

/// Takes in a message of a list that was asked for, RTM_NEWLINK, RTM_NEWADDR or RTM_NEWROUTE. Pure.
void take_listed(const nlmsghdr& message, NetworkState& state);
/// Takes in a message that came by itself: what has changed since the lists. Pure.
void take_notification(const nlmsghdr& message, NetworkState& state);
NetworkView view_of(const NetworkState& state);

}  // namespace hairpind
