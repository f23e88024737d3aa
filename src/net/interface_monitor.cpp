// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/interface_monitor.hpp"

#include <fnmatch.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>

namespace hairpind {
namespace {

// Room for a burst of pods; beyond it the kernel says ENOBUFS and everything is asked for again.
constexpr int kReceiveBuffer = 4 << 20;
constexpr int kDumpAttempts = 10;
constexpr int kReadsPerTurn = 1024;
// The kernel fills dumps of up to 32 KiB where it is given the room (netlink.rst).
constexpr std::size_t kMessageBuffer = 32768;

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
  for_each_attribute(header, sizeof(*route), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == RTA_OIF) {
      state.default_routes.insert(mnl_attr_get_u32(attribute));
    } else if (mnl_attr_get_type(attribute) == RTA_MULTIPATH) {
      int left = mnl_attr_get_payload_len(attribute);
      const auto* hop = static_cast<const rtnexthop*>(mnl_attr_get_payload(attribute));
      while (RTNH_OK(hop, left)) {
        state.default_routes.insert(static_cast<std::uint32_t>(hop->rtnh_ifindex));
        left -= RTNH_ALIGN(hop->rtnh_len);
        hop = RTNH_NEXT(hop);
      }
    }
  });
}

// The messages of a list that was asked for.
int on_listed(const nlmsghdr* header, void* state) {
  auto& into = *static_cast<NetworkState*>(state);
  switch (header->nlmsg_type) {
    case RTM_NEWLINK:
      apply_link(header, into);
      break;
    case RTM_NEWADDR:
      apply_address(header, into);
      break;
    case RTM_NEWROUTE:
      collect_default_route(header, into);
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

// The messages that come by themselves.
int on_notification(const nlmsghdr* header, void* state) {
  auto& into = *static_cast<NetworkState*>(state);
  switch (header->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      apply_link(header, into);
      break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
      apply_address(header, into);
      break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      // The same default route may stand in several tables: what is left is asked for, not computed.
      if (is_default_route(*static_cast<const rtmsg*>(mnl_nlmsg_get_payload(header)))) {
        into.routes_stale = true;
      }
      break;
    case RTM_NEWTFILTER:
    case RTM_DELTFILTER:
    case RTM_DELQDISC:
      into.filters_changed.insert(
          static_cast<std::uint32_t>(static_cast<const tcmsg*>(mnl_nlmsg_get_payload(header))->tcm_ifindex));
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

struct Question {
  std::uint16_t type;
  std::uint8_t family;
};
constexpr std::array kRoutes{Question{RTM_GETROUTE, AF_INET}, Question{RTM_GETROUTE, AF_INET6}};
constexpr std::array kEverything{Question{RTM_GETLINK, AF_UNSPEC}, Question{RTM_GETADDR, AF_UNSPEC}, kRoutes[0],
                                 kRoutes[1]};

bool matches(const std::vector<std::string>& globs, const std::string& name) {
  return std::ranges::any_of(globs,
                             [&](const std::string& glob) { return fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

bool is_pod_interface(const NetworkInterface& interface) {
  return (interface.kind == "veth" || interface.kind == "netkit") && interface.peer_in_other_namespace;
}

// Lists into `into`; false if the list changed while it was read. A socket of its own for each question: what is
// left unread of an interrupted list goes away with it.
Result<bool> ask(const Question& question, NetworkState& into) {
  const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC),
                                                                        &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return fail_errno("open an rtnetlink socket", errno);
  }
  const std::string what = "list the node's devices, addresses and routes by rtnetlink";
  std::vector<char> buffer(kMessageBuffer);
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = question.type;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  // Room for the largest of the three headers; only the family counts, which all begin with.
  auto* const general = static_cast<rtgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  general->rtgen_family = question.family;
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) {
    return fail_errno(what, errno);
  }
  for (;;) {
    const auto received = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (received < 0) {
      return fail_errno(what, errno);
    }
    const int state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), 0,
                                 mnl_socket_get_portid(socket.get()), on_listed, &into);
    if (state == MNL_CB_STOP) {
      return true;
    }
    if (state == MNL_CB_ERROR) {
      // libmnl's word for NLM_F_DUMP_INTR.
      if (errno == EINTR) {
        return false;
      }
      return fail_errno(what, errno);
    }
  }
}

Result<NetworkState> ask_all(std::span<const Question> questions) {
  for (int attempt = 0; attempt < kDumpAttempts; attempt++) {
    NetworkState state;
    bool consistent = true;
    for (const Question& question : questions) {
      const auto complete = ask(question, state);
      if (!complete) {
        return std::unexpected(complete.error());
      }
      consistent = consistent && *complete;
    }
    if (consistent) {
      return state;
    }
  }
  return fail("the node's devices, addresses or routes changed each time they were listed, " +
              std::to_string(kDumpAttempts) + " times; trying again later");
}

}  // namespace

void InterfaceMonitor::SocketDeleter::operator()(mnl_socket* socket) const {
  mnl_socket_close(socket);
}

InterfaceMonitor::InterfaceMonitor(Socket notifications) : notifications_(std::move(notifications)) {}

Result<InterfaceMonitor> InterfaceMonitor::create(bool follow_filters) {
  Socket notifications(mnl_socket_open2(NETLINK_ROUTE, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!notifications || mnl_socket_bind(notifications.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return fail_errno("open an rtnetlink socket", errno);
  }
  const int fd = mnl_socket_get_fd(notifications.get());
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof(kReceiveBuffer)) != 0) {
    // CAP_NET_ADMIN in another user namespace is not enough; then the system's limit applies.
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof(kReceiveBuffer));
  }
  std::vector<int> groups{RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                          RTNLGRP_IPV6_ROUTE};
  if (follow_filters) {
    groups.push_back(RTNLGRP_TC);
  }
  for (int group : groups) {
    if (mnl_socket_setsockopt(notifications.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) {
      return fail_errno("subscribe to rtnetlink group " + std::to_string(group), errno);
    }
  }
  InterfaceMonitor monitor(std::move(notifications));
  if (auto processed = monitor.process(); !processed) {
    return std::unexpected(processed.error());
  }
  // Nobody has put a filter on any device yet that could be missed.
  monitor.take_filters_changed();
  return monitor;
}

int InterfaceMonitor::fd() const {
  return mnl_socket_get_fd(notifications_.get());
}

Result<bool> InterfaceMonitor::process() {
  std::vector<char> buffer(kMessageBuffer);
  // Bounded, so that a storm of changes cannot keep the event loop here; what is left wakes it again.
  for (int reads = 0; reads < kReadsPerTurn; reads++) {
    const auto received = mnl_socket_recvfrom(notifications_.get(), buffer.data(), buffer.size());
    if (received >= 0) {
      mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), 0, 0, on_notification, &state_);
    } else if (errno == ENOBUFS || errno == ENOSPC) {
      stale_ = true;
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      return fail_errno("read rtnetlink notifications", errno);
    }
  }
  if (stale_ || state_.routes_stale) {
    if (auto synced = resync(); !synced) {
      return std::unexpected(synced.error());
    }
  }
  return update_view();
}

Result<void> InterfaceMonitor::resync() {
  auto asked = stale_ ? ask_all(kEverything) : ask_all(kRoutes);
  if (!asked) {
    return std::unexpected(asked.error());
  }
  if (stale_) {
    state_ = *std::move(asked);
    for (const auto& [ifindex, interface] : state_.interfaces) {
      state_.filters_changed.insert(ifindex);
    }
  } else {
    state_.default_routes = std::move(asked->default_routes);
  }
  stale_ = false;
  state_.routes_stale = false;
  return {};
}

std::set<std::uint32_t> InterfaceMonitor::take_filters_changed() {
  return std::exchange(state_.filters_changed, {});
}

bool InterfaceMonitor::update_view() {
  NetworkView view;
  view.interfaces = state_.interfaces;
  for (auto& [ifindex, interface] : view.interfaces) {
    interface.has_default_route = state_.default_routes.contains(ifindex);
  }
  for (const auto& [ifindex, address] : state_.addresses) {
    view.addresses.insert(address);
  }
  if (view == view_) {
    return false;
  }
  view_ = std::move(view);
  return true;
}

std::map<std::uint32_t, InterfaceRole> select_interfaces(const NetworkView& view, const InterfaceSelection& selection) {
  std::map<std::uint32_t, InterfaceRole> selected;
  for (const auto& [ifindex, interface] : view.interfaces) {
    if (interface.loopback) {
      continue;
    }
    const bool uplink =
        selection.uplink_globs.empty() ? interface.has_default_route : matches(selection.uplink_globs, interface.name);
    const bool pod =
        selection.pod_globs.empty() ? is_pod_interface(interface) : matches(selection.pod_globs, interface.name);
    if (uplink || pod) {
      selected.emplace(ifindex, uplink ? InterfaceRole::kUplink : InterfaceRole::kPod);
    }
  }
  return selected;
}

std::vector<std::string> unmatched_globs(const NetworkView& view, const InterfaceSelection& selection) {
  std::vector<std::string> unmatched;
  for (const auto* const globs : {&selection.pod_globs, &selection.uplink_globs}) {
    for (const std::string& glob : *globs) {
      if (std::ranges::none_of(view.interfaces,
                               [&](const auto& entry) { return matches({glob}, entry.second.name); })) {
        unmatched.push_back(glob);
      }
    }
  }
  return unmatched;
}

}  // namespace hairpind
