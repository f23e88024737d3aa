// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/network_view.hpp"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "next_hops.hpp"

namespace hairpind {
namespace {

template <typename Visit>
int visit_attribute(const nlattr* attribute, void* visit) {
  (*static_cast<Visit*>(visit))(attribute);
  return MNL_CB_OK;
}

template <typename Visit>
void for_each_attribute(const nlmsghdr* header, std::size_t offset, Visit visit) {
  mnl_attr_parse(header, static_cast<unsigned int>(offset), visit_attribute<Visit>, &visit);
}

std::string link_kind(const nlattr* link_info) {
  std::string kind;
  auto visit = [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND) {
      kind = mnl_attr_get_str(attribute);
    }
  };
  mnl_attr_parse_nested(link_info, visit_attribute<decltype(visit)>, &visit);
  return kind;
}

void apply_link(const nlmsghdr* header, NetworkState& state) {
  const auto* const info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(header));
  // A bridge reports its ports in messages of its own: leaving the bridge is not being deleted.
  if (info->ifi_family == AF_BRIDGE) {
    return;
  }
  const auto ifindex = static_cast<std::uint32_t>(info->ifi_index);
  if (header->nlmsg_type == RTM_DELLINK) {
    state.interfaces.erase(ifindex);
    std::erase_if(state.addresses, [&](const auto& entry) { return entry.first == ifindex; });
    std::erase_if(state.subnets, [&](const auto& entry) { return entry.first == ifindex; });
    // Which route comes first now.
    state.routes_stale = state.routes_stale || state.default_routes.contains(ifindex);
    state.default_routes.erase(ifindex);
    state.configured_default_routes.erase(ifindex);
    for (auto& [destination, first] : state.first_defaults) {
      first.ifindexes.erase(ifindex);
    }
    std::erase_if(state.host_routes, [&](const HostRoute& route) { return route.ifindex == ifindex; });
    state.routes_changed = true;
    return;
  }
  NetworkInterface interface;
  interface.ifindex = ifindex;
  interface.up = (info->ifi_flags & IFF_UP) != 0;
  interface.loopback = (info->ifi_flags & IFF_LOOPBACK) != 0;
  for_each_attribute(header, sizeof(*info), [&](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case IFLA_IFNAME:
        interface.name = mnl_attr_get_str(attribute);
        break;
      case IFLA_MASTER:
        interface.master_ifindex = mnl_attr_get_u32(attribute);
        break;
      case IFLA_LINK_NETNSID:
        interface.peer_in_other_namespace = true;
        interface.peer_namespace = static_cast<int>(mnl_attr_get_u32(attribute));
        break;
      case IFLA_LINKINFO:
        interface.kind = link_kind(attribute);
        break;
      default:
        break;
    }
  });
  // IPv4 routes that go with their device's state are not announced one by one.
  if (!interface.up) {
    state.routes_stale = state.routes_stale || state.default_routes.contains(ifindex);
    std::erase_if(state.host_routes,
                  [&](const HostRoute& route) { return route.ifindex == ifindex && route.address.is_v4(); });
    state.routes_changed = true;
  }
  state.interfaces[ifindex] = std::move(interface);
}

void apply_address(const nlmsghdr* header, NetworkState& state) {
  const auto* const info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(header));
  std::optional<IpAddress> local;
  std::optional<IpAddress> address;
  for_each_attribute(header, sizeof(*info), [&](const nlattr* attribute) {
    const auto read = [&] {
      return IpAddress::from_network(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute));
    };
    if (mnl_attr_get_type(attribute) == IFA_LOCAL) {
      local = read();
    } else if (mnl_attr_get_type(attribute) == IFA_ADDRESS) {
      address = read();
    }
  });
  // On a point-to-point link IFA_ADDRESS is the other end's.
  const auto& own = local ? local : address;
  if (!own || (!own->is_v4() && own->is_link_local())) {
    return;
  }
  if (header->nlmsg_type == RTM_NEWADDR) {
    state.addresses.emplace(info->ifa_index, *own);
    const unsigned whole = own->is_v4() ? 32 : 128;
    // An IPv6 address that is not permanent comes from a router advertisement, which a pod may have sent.
    if (info->ifa_prefixlen < whole && (own->is_v4() || (info->ifa_flags & IFA_F_PERMANENT) != 0)) {
      state.subnets.emplace(info->ifa_index, *own);
    }
    return;
  }
  state.addresses.erase({info->ifa_index, *own});
  state.subnets.erase({info->ifa_index, *own});
  state.routes_changed = true;
  // Routes that need the address go with it, unannounced.
  if (state.default_routes.contains(info->ifa_index)) {
    state.routes_stale = true;
  }
}

// How long a prefix may be that stands for a part of everything: two halves, and IPv6's global unicast (RFC 4291).
constexpr unsigned kLongestDefaultV4 = 1;
constexpr unsigned kLongestDefaultV6 = 3;

bool is_way(const rtmsg& route) {
  return route.rtm_type == RTN_UNICAST && (route.rtm_flags & RTM_F_CLONED) == 0;
}

bool is_default_route(const rtmsg& route) {
  return is_way(route) && route.rtm_dst_len <= (route.rtm_family == AF_INET ? kLongestDefaultV4 : kLongestDefaultV6);
}

struct Route {
  std::uint32_t table = 0;
  std::uint32_t metric = 0;
  IpAddress destination;
  bool has_gateway = false;
  std::set<IpAddress> gateways;
  std::set<std::uint32_t> ifindexes;
};

std::optional<IpAddress> address_in(const nlattr* attribute) {
  return IpAddress::from_network(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute));
}

Route read_route(const nlmsghdr* header, const rtmsg& general) {
  Route route{.table = general.rtm_table, .destination = {}, .gateways = {}, .ifindexes = {}};
  for_each_attribute(header, sizeof(general), [&](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case RTA_TABLE:
        route.table = mnl_attr_get_u32(attribute);
        break;
      case RTA_PRIORITY:
        route.metric = mnl_attr_get_u32(attribute);
        break;
      case RTA_DST:
        route.destination = address_in(attribute).value_or(IpAddress{});
        break;
      case RTA_OIF:
        route.ifindexes.insert(mnl_attr_get_u32(attribute));
        break;
      case RTA_GATEWAY:
      case RTA_VIA:
        route.has_gateway = true;
        if (const auto gateway = address_in(attribute)) {
          route.gateways.insert(*gateway);
        }
        break;
      case RTA_MULTIPATH:
        route.has_gateway = true;
        add_next_hops(attribute, route.ifindexes);
        break;
      default:
        break;
    }
  });
  return route;
}

void collect_default_route(const Route& route, const rtmsg& general, NetworkState& state) {
  state.default_routes.insert(route.ifindexes.begin(), route.ifindexes.end());
  if (general.rtm_protocol == RTPROT_RA) {
    return;
  }
  state.configured_default_routes.insert(route.ifindexes.begin(), route.ifindexes.end());
  if (route.table != RT_TABLE_MAIN) {
    return;
  }
  state.gateways.insert(route.gateways.begin(), route.gateways.end());
  const unsigned kind = general.rtm_family * 256U + general.rtm_dst_len;
  const auto [entry, is_new] = state.first_defaults.try_emplace({kind, route.destination},
                                                                FirstDefault{.metric = route.metric, .ifindexes = {}});
  FirstDefault& first = entry->second;
  if (route.metric < first.metric) {
    first = {.metric = route.metric, .ifindexes = {}};
  }
  if (route.metric == first.metric) {
    first.ifindexes.insert(route.ifindexes.begin(), route.ifindexes.end());
  }
}

// Its devices if it is a route to one address without a gateway. A node may have thousands of others: those are not
// read.
std::vector<HostRoute> host_routes_of(const nlmsghdr* header, const rtmsg& general) {
  const unsigned whole = general.rtm_family == AF_INET ? 32 : 128;
  if (!is_way(general) || general.rtm_dst_len != whole) {
    return {};
  }
  const Route route = read_route(header, general);
  std::vector<HostRoute> routes;
  if (!route.has_gateway) {
    for (const std::uint32_t ifindex : route.ifindexes) {
      routes.push_back({.address = route.destination, .ifindex = ifindex});
    }
  }
  return routes;
}

void collect_route(const nlmsghdr* header, NetworkState& state) {
  const auto& general = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(header));
  if (is_default_route(general)) {
    collect_default_route(read_route(header, general), general, state);
    return;
  }
  for (const HostRoute& route : host_routes_of(header, general)) {
    state.host_routes.insert(route);
  }
}

void change_route(const nlmsghdr* header, NetworkState& state) {
  const auto& general = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(header));
  state.routes_changed = true;
  // The same default route may stand in several tables: what is left is asked for, not computed.
  if (is_default_route(general)) {
    state.routes_stale = true;
    return;
  }
  if (header->nlmsg_type == RTM_NEWROUTE) {
    collect_route(header, state);
    return;
  }
  for (const HostRoute& route : host_routes_of(header, general)) {
    state.host_routes.erase(route);
  }
}

}  // namespace

void take_listed(const nlmsghdr& message, NetworkState& state) {
  switch (message.nlmsg_type) {
    case RTM_NEWLINK:
      apply_link(&message, state);
      break;
    case RTM_NEWADDR:
      apply_address(&message, state);
      break;
    case RTM_NEWROUTE:
      collect_route(&message, state);
      break;
    default:
      break;
  }
}

void take_notification(const nlmsghdr& message, NetworkState& state) {
  switch (message.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      apply_link(&message, state);
      break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
      apply_address(&message, state);
      break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      change_route(&message, state);
      break;
    case RTM_NEWRULE:
    case RTM_DELRULE:
      state.routes_changed = true;
      break;
    case RTM_NEWTFILTER:
    case RTM_DELTFILTER:
    case RTM_DELQDISC:
      state.filters_changed.insert(
          static_cast<std::uint32_t>(static_cast<const tcmsg*>(mnl_nlmsg_get_payload(&message))->tcm_ifindex));
      break;
    default:
      break;
  }
}

NetworkView view_of(const NetworkState& state) {
  NetworkView view;
  view.interfaces = state.interfaces;
  std::set<std::uint32_t> first;
  for (const auto& [destination, routes] : state.first_defaults) {
    first.insert(routes.ifindexes.begin(), routes.ifindexes.end());
  }
  for (auto& [ifindex, interface] : view.interfaces) {
    interface.has_default_route = state.default_routes.contains(ifindex);
    interface.default_route_announced =
        interface.has_default_route && !state.configured_default_routes.contains(ifindex);
    interface.default_route_first = first.contains(ifindex);
  }
  for (const auto& [ifindex, address] : state.subnets) {
    if (const auto found = view.interfaces.find(ifindex); found != view.interfaces.end()) {
      found->second.on_subnet = true;
    }
  }
  for (const auto& [ifindex, address] : state.addresses) {
    view.addresses.insert(address);
  }
  view.host_routes = state.host_routes;
  view.gateways = state.gateways;
  return view;
}

std::map<IpAddress, IpAddress> further_addresses(const NetworkView& view, const std::set<IpAddress>& named) {
  const auto namespace_of = [&](const HostRoute& route) {
    const auto found = view.interfaces.find(route.ifindex);
    return found == view.interfaces.end() ? -1 : found->second.peer_namespace;
  };
  std::map<int, IpAddress> named_in;
  for (const HostRoute& route : view.host_routes) {
    if (named.contains(route.address)) {
      named_in.try_emplace(namespace_of(route), route.address);
    }
  }
  named_in.erase(-1);
  std::map<IpAddress, std::set<IpAddress>> found;
  for (const HostRoute& route : view.host_routes) {
    const auto same = named_in.find(namespace_of(route));
    if (same != named_in.end() && !named.contains(route.address)) {
      found[route.address].insert(same->second);
    }
  }
  std::map<IpAddress, IpAddress> further;
  for (const auto& [address, others] : found) {
    // Routed to two pods it is neither's for sure.
    if (others.size() == 1) {
      further.emplace(address, *others.begin());
    }
  }
  return further;
}

}  // namespace hairpind
