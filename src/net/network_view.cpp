// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/network_view.hpp"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <optional>

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

bool is_link_local_v6(const IpAddress& address) {
  return !address.is_v4() && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0U) == 0x80;
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
    state.default_routes.erase(ifindex);
    state.configured_default_routes.erase(ifindex);
    return;
  }
  NetworkInterface interface;
  interface.ifindex = ifindex;
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
        break;
      case IFLA_LINKINFO:
        interface.kind = link_kind(attribute);
        break;
      default:
        break;
    }
  });
  // IPv4 routes that go with their device's state are not announced one by one.
  if ((info->ifi_flags & IFF_UP) == 0 && state.default_routes.contains(ifindex)) {
    state.routes_stale = true;
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
  if (!own || is_link_local_v6(*own)) {
    return;
  }
  if (header->nlmsg_type == RTM_NEWADDR) {
    state.addresses.emplace(info->ifa_index, *own);
    return;
  }
  state.addresses.erase({info->ifa_index, *own});
  // Routes that need the address go with it, unannounced.
  if (state.default_routes.contains(info->ifa_index)) {
    state.routes_stale = true;
  }
}

bool is_default_route(const rtmsg& route) {
  return route.rtm_dst_len == 0 && route.rtm_type == RTN_UNICAST && (route.rtm_flags & RTM_F_CLONED) == 0;
}

void collect_default_route(const nlmsghdr* header, NetworkState& state) {
  const auto* const route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(header));
  if (!is_default_route(*route)) {
    return;
  }
  const auto add = [&](std::uint32_t ifindex) {
    state.default_routes.insert(ifindex);
    if (route->rtm_protocol != RTPROT_RA) {
      state.configured_default_routes.insert(ifindex);
    }
  };
  for_each_attribute(header, sizeof(*route), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == RTA_OIF) {
      add(mnl_attr_get_u32(attribute));
    } else if (mnl_attr_get_type(attribute) == RTA_MULTIPATH) {
      int left = mnl_attr_get_payload_len(attribute);
      const auto* hop = static_cast<const rtnexthop*>(mnl_attr_get_payload(attribute));
      while (RTNH_OK(hop, left)) {
        add(static_cast<std::uint32_t>(hop->rtnh_ifindex));
        left -= RTNH_ALIGN(hop->rtnh_len);
        hop = RTNH_NEXT(hop);
      }
    }
  });
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
      collect_default_route(&message, state);
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
      // The same default route may stand in several tables: what is left is asked for, not computed.
      if (is_default_route(*static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message)))) {
        state.routes_stale = true;
      }
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
  for (auto& [ifindex, interface] : view.interfaces) {
    interface.has_default_route = state.default_routes.contains(ifindex);
    interface.default_route_announced =
        interface.has_default_route && !state.configured_default_routes.contains(ifindex);
  }
  for (const auto& [ifindex, address] : state.addresses) {
    view.addresses.insert(address);
  }
  return view;
}

}  // namespace hairpind
