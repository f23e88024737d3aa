// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/packets_received.hpp"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstring>
#include <memory>

namespace hairpind {
namespace {

int read_statistics(const nlattr* attribute, void* packets) {
  std::uint64_t value = 0;
  if (mnl_attr_get_type(attribute) == IFLA_STATS64 && mnl_attr_get_payload_len(attribute) >= sizeof(value)) {
    // rx_packets comes first in rtnl_link_stats64.
    std::memcpy(&value, mnl_attr_get_payload(attribute), sizeof(value));
    *static_cast<std::optional<std::uint64_t>*>(packets) = value;
  }
  return MNL_CB_OK;
}

}  // namespace

std::optional<std::uint64_t> packets_received(std::uint32_t ifindex) {
  const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC),
                                                                        &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return std::nullopt;
  }
  // A device with all its attributes is some 2 KiB.
  alignas(nlmsghdr) std::array<char, 16384> buffer{};
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETLINK;
  header->nlmsg_flags = NLM_F_REQUEST;
  static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)))->ifi_index = static_cast<int>(ifindex);
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) {
    return std::nullopt;
  }
  const auto received = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
  if (received < 0 || !mnl_nlmsg_ok(header, static_cast<int>(received)) || header->nlmsg_type != RTM_NEWLINK) {
    return std::nullopt;
  }
  std::optional<std::uint64_t> packets;
  mnl_attr_parse(header, sizeof(ifinfomsg), read_statistics, &packets);
  return packets;
}

}  // namespace hairpind
