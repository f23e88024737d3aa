// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/interface_monitor.hpp"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <span>
#include <vector>

namespace hairpind {
namespace {

// Room for a burst of pods; beyond it the kernel says ENOBUFS and everything is asked for again.
constexpr int kReceiveBuffer = 4 << 20;
constexpr int kDumpAttempts = 10;
constexpr int kReadsPerTurn = 1024;
// The kernel fills dumps of up to 32 KiB where it is given the room (netlink.rst).
constexpr std::size_t kMessageBuffer = 32768;

int on_listed(const nlmsghdr* message, void* state) {
  take_listed(*message, *static_cast<NetworkState*>(state));
  return MNL_CB_OK;
}

int on_notification(const nlmsghdr* message, void* state) {
  take_notification(*message, *static_cast<NetworkState*>(state));
  return MNL_CB_OK;
}

struct Question {
  std::uint16_t type;
  std::uint8_t family;
};
constexpr std::array kRoutes{Question{RTM_GETROUTE, AF_INET}, Question{RTM_GETROUTE, AF_INET6}};
constexpr std::array kEverything{Question{RTM_GETLINK, AF_UNSPEC}, Question{RTM_GETADDR, AF_UNSPEC}, kRoutes[0],
                                 kRoutes[1]};

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

Result<InterfaceMonitor> InterfaceMonitor::create() {
  Socket notifications(mnl_socket_open2(NETLINK_ROUTE, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!notifications || mnl_socket_bind(notifications.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return fail_errno("open an rtnetlink socket", errno);
  }
  const int fd = mnl_socket_get_fd(notifications.get());
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof(kReceiveBuffer)) != 0) {
    // CAP_NET_ADMIN in another user namespace is not enough; then the system's limit applies.
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof(kReceiveBuffer));
  }
  for (int group : {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                    RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_TC}) {
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
    state_.configured_default_routes = std::move(asked->configured_default_routes);
    state_.first_defaults = std::move(asked->first_defaults);
    state_.gateways = std::move(asked->gateways);
    state_.host_routes = std::move(asked->host_routes);
  }
  state_.routes_changed = true;
  stale_ = false;
  state_.routes_stale = false;
  return {};
}

std::set<std::uint32_t> InterfaceMonitor::take_filters_changed() {
  return std::exchange(state_.filters_changed, {});
}

bool InterfaceMonitor::take_routes_changed() {
  return std::exchange(state_.routes_changed, false);
}

bool InterfaceMonitor::update_view() {
  NetworkView view = view_of(state_);
  if (view == view_) {
    return false;
  }
  view_ = std::move(view);
  return true;
}

}  // namespace hairpind
