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

struct Link {
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::optional<std::uint32_t> peer;
  std::optional<std::uint32_t> peer_namespace;  ///< by its number in ours
};

int read_attribute(const nlattr* attribute, void* target) {
  auto& link = *static_cast<Link*>(target);
  const std::size_t size = mnl_attr_get_payload_len(attribute);
  // rx_packets and tx_packets come first in rtnl_link_stats64.
  std::array<std::uint64_t, 2> packets{};
  switch (mnl_attr_get_type(attribute)) {
    case IFLA_STATS64:
      if (size >= sizeof(packets)) {
        std::memcpy(packets.data(), mnl_attr_get_payload(attribute), sizeof(packets));
        link.received = packets[0];
        link.sent = packets[1];
      }
      break;
    case IFLA_LINK:
      if (size == sizeof(std::uint32_t)) {
        link.peer = mnl_attr_get_u32(attribute);
      }
      break;
    case IFLA_LINK_NETNSID:
      if (size == sizeof(std::uint32_t)) {
        link.peer_namespace = mnl_attr_get_u32(attribute);
      }
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

std::optional<Link> ask(std::uint32_t ifindex, std::optional<std::uint32_t> name_space) {
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
  if (name_space) {
    mnl_attr_put_u32(header, IFLA_TARGET_NETNSID, *name_space);
  }
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) {
    return std::nullopt;
  }
  const auto received = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
  if (received < 0 || !mnl_nlmsg_ok(header, static_cast<int>(received)) || header->nlmsg_type != RTM_NEWLINK) {
    return std::nullopt;
  }
  Link link;
  mnl_attr_parse(header, sizeof(ifinfomsg), read_attribute, &link);
  return link;
}

}  // namespace

std::optional<std::uint64_t> packets_received(std::uint32_t ifindex) {
  const auto link = ask(ifindex, std::nullopt);
  if (!link) {
    return std::nullopt;
  }
  if (link->peer && link->peer_namespace) {
    if (const auto peer = ask(*link->peer, link->peer_namespace)) {
      return peer->sent;
    }
  }
  return link->received;
}

}  // namespace hairpind
