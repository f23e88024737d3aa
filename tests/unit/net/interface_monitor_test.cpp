// SPDX-License-Identifier: Apache-2.0
// In a network namespace of its own, which needs no root where user namespaces may be made.
#include "hairpind/net/interface_monitor.hpp"

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <string>

namespace hairpind {
namespace {

constexpr int kPassed = 0;
constexpr int kFailed = 1;
constexpr int kNotPossible = 77;

/// Runs `body` in a child with a network namespace of its own; its exit status.
int in_own_network(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    const bool own = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    // Not exit(): nothing of the parent's is the child's to end.
    _exit(own ? body() : kNotPossible);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : kFailed;
}

bool add_bridge(const std::string& name) {
  mnl_socket* const socket = mnl_socket_open(NETLINK_ROUTE);
  if (socket == nullptr || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
    return false;
  }
  std::array<char, 8192> buffer{};
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_NEWLINK;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK;
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
  nlattr* const info = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "bridge");
  mnl_attr_nest_end(header, info);
  bool added = mnl_socket_sendto(socket, header, header->nlmsg_len) >= 0;
  const auto got = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
  added = added && got > 0 && mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), 0, 0, nullptr, nullptr) >= 0;
  mnl_socket_close(socket);
  return added;
}

TEST(InterfaceMonitor, WhatWasLostIsAskedForAnew) {
  const int status = in_own_network([] {
    auto monitor = InterfaceMonitor::create();
    const std::size_t before = monitor ? monitor->view().interfaces.size() : 0;
    if (!monitor || !add_bridge("first")) {
      return kNotPossible;
    }
    if (!monitor->process() || monitor->view().interfaces.size() != before + 1) {
      return kFailed;
    }
    // Room for one message or two; the kernel says ENOBUFS for the rest.
    const int little = 1;
    setsockopt(monitor->fd(), SOL_SOCKET, SO_RCVBUFFORCE, &little, sizeof(little));
    setsockopt(monitor->fd(), SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
    for (int i = 0; i < 50; i++) {
      if (!add_bridge("d" + std::to_string(i))) {
        return kFailed;
      }
    }
    const auto changed = monitor->process();
    return changed && *changed && monitor->view().interfaces.size() == before + 51 ? kPassed : kFailed;
  });
  if (status == kNotPossible) {
    GTEST_SKIP() << "no network namespace, or no bridges in it";
  }
  EXPECT_EQ(status, kPassed);
}

}  // namespace
}  // namespace hairpind
