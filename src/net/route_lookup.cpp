// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/route_lookup.hpp"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "next_hops.hpp"

namespace hairpind {
namespace {

constexpr std::size_t kMessageBuffer = 8192;

int on_attribute(const nlattr* attribute, void* data) {
  auto& devices = *static_cast<std::set<std::uint32_t>*>(data);
  if (mnl_attr_get_type(attribute) == RTA_OIF) {
    devices.insert(mnl_attr_get_u32(attribute));
  } else if (mnl_attr_get_type(attribute) == RTA_MULTIPATH) {
    add_next_hops(attribute, devices);
  }
  return MNL_CB_OK;
}

// Prefixes that an advertisement brings expire, too, and their protocol is the kernel's own.
int on_expiry(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) == RTA_CACHEINFO && mnl_attr_get_payload_len(attribute) >= sizeof(rta_cacheinfo)) {
    *static_cast<bool*>(data) = static_cast<const rta_cacheinfo*>(mnl_attr_get_payload(attribute))->rta_expires != 0;
  }
  return MNL_CB_OK;
}

int on_route(const nlmsghdr* message, void* devices) {
  const auto* const route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  if (message->nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_UNICAST) {
    return MNL_CB_OK;
  }
  bool expires = false;
  mnl_attr_parse(message, sizeof(*route), on_expiry, &expires);
  if (route->rtm_protocol == RTPROT_RA || (route->rtm_family == AF_INET6 && expires)) {
    return MNL_CB_OK;
  }
  mnl_attr_parse(message, sizeof(*route), on_attribute, devices);
  return MNL_CB_OK;
}

bool is_no_route(int error) {
  return error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES || error == EINVAL || error == ENODEV;
}

}  // namespace

void RouteLookup::SocketDeleter::operator()(mnl_socket* socket) const {
  mnl_socket_close(socket);
}

Result<RouteLookup> RouteLookup::create() {
  Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return fail_errno("open an rtnetlink socket", errno);
  }
  return RouteLookup(std::move(socket));
}

Result<std::set<std::uint32_t>> RouteLookup::devices_to(const IpAddress& address) {
  const std::string what = "ask the kernel for its route to " + address.to_string();
  const std::size_t skip = address.is_v4() ? 12 : 0;
  const std::size_t size = address.bytes.size() - skip;
  std::array<char, kMessageBuffer> buffer{};
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETROUTE;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = ++sequence_;
  auto* const route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  route->rtm_family = address.is_v4() ? AF_INET : AF_INET6;
  route->rtm_dst_len = static_cast<std::uint8_t>(size * 8);
  // The entry itself, with all its next hops (4.13).
  route->rtm_flags = RTM_F_FIB_MATCH;
  mnl_attr_put(header, RTA_DST, size, address.bytes.data() + skip);
  if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) {
    return fail_errno(what, errno);
  }
  std::set<std::uint32_t> devices;
  for (;;) {
    const auto received = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (received < 0) {
      return fail_errno(what, errno);
    }
    const int state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), sequence_,
                                 mnl_socket_get_portid(socket_.get()), on_route, &devices);
    if (state == MNL_CB_STOP || (state == MNL_CB_ERROR && is_no_route(errno))) {
      return devices;
    }
    // The answer to a question that was given up.
    if (state == MNL_CB_ERROR && errno != EPROTO) {
      return fail_errno(what, errno);
    }
  }
}

}  // namespace hairpind
