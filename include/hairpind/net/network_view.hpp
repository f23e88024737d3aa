// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
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
  bool default_route_first = false;      ///< it has one in the main table, which none there comes before
  bool up = false;                       ///< administratively
  bool on_subnet = false;                ///< the node has an address of a subnet on it, not by router advertisement
  int peer_namespace = -1;               ///< where its other end is: a number that this namespace has given; -1: here

  bool operator==(const NetworkInterface&) const = default;
};

/// A route to one address alone, without a gateway: how a pod is reached that has a device of its own.
struct HostRoute {
  IpAddress address;
  std::uint32_t ifindex = 0;

  auto operator<=>(const HostRoute&) const = default;
};

/// What this network namespace looks like.
struct NetworkView {
  std::map<std::uint32_t, NetworkInterface> interfaces;  ///< by ifindex
  std::set<IpAddress> addresses;                         ///< the node's own, link-local IPv6 left out
  std::set<HostRoute> host_routes;                       ///< in any table
  std::set<IpAddress> gateways;                          ///< of the main table's default routes

  bool operator==(const NetworkView&) const = default;
};

/// The main table's configured default routes to one destination, those that come first.
struct FirstDefault {
  std::uint32_t metric = 0;
  std::set<std::uint32_t> ifindexes;
};

/// What rtnetlink has told so far: the view before it is put together. A default route is one to everything, or to a
/// part so large that it takes its place (two of length 1; IPv6's 2000::/3).
struct NetworkState {
  std::map<std::uint32_t, NetworkInterface> interfaces;
  std::set<std::pair<std::uint32_t, IpAddress>> addresses;  ///< an address may be on several devices
  std::set<std::pair<std::uint32_t, IpAddress>> subnets;    ///< of these: see NetworkInterface::on_subnet
  std::set<std::uint32_t> default_routes;                   ///< ifindexes
  std::set<std::uint32_t> configured_default_routes;        ///< of these: not by router advertisement
  /// By family, length and destination.
  std::map<std::pair<unsigned, IpAddress>, FirstDefault> first_defaults;
  std::set<IpAddress> gateways;
  std::set<HostRoute> host_routes;
  bool routes_stale = false;                ///< a default route may have come or gone
  bool routes_changed = false;              ///< any route or rule has, or may have, since somebody took this
  std::set<std::uint32_t> filters_changed;  ///< ifindexes
};

/// Takes in a message of a list that was asked for, RTM_NEWLINK, RTM_NEWADDR or RTM_NEWROUTE. Pure.
void take_listed(const nlmsghdr& message, NetworkState& state);
/// Takes in a message that came by itself: what has changed since the lists. Pure.
void take_notification(const nlmsghdr& message, NetworkState& state);
NetworkView view_of(const NetworkState& state);

/// Addresses that are routed to pods' devices and are none of `named`, each with one of these that is routed into the
/// same network namespace: a pod with two devices (EKS gives IPv6 pods a second one for IPv4, with an address that each
/// node uses anew). Pure.
std::map<IpAddress, IpAddress> further_addresses(const NetworkView& view, const std::set<IpAddress>& named);

}  // namespace hairpind
