// SPDX-License-Identifier: Apache-2.0
// Makes a pair of netkit devices, which Debian 12's iproute2 cannot. lab.sh runs it inside the primary's namespace:
//   netkit_pair DEVICE PEER NETNS l2|l3      PEER is made in the named namespace
// Exit status: 77 if this kernel has no netkit (6.7), 1 for any other failure.
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

namespace {

constexpr int kNoNetkit = 77;

// uapi/linux/if_link.h of 6.7; Debian 12's headers are older.
constexpr std::uint16_t kPeerInfo = 1;  // IFLA_NETKIT_PEER_INFO
constexpr std::uint16_t kMode = 5;      // IFLA_NETKIT_MODE
constexpr std::uint32_t kL2 = 0;        // NETKIT_L2
constexpr std::uint32_t kL3 = 1;        // NETKIT_L3

// 0, or the kernel's errno.
int make_pair(const std::string& device, const std::string& peer, int peer_namespace, std::uint32_t mode) {
  const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket(mnl_socket_open(NETLINK_ROUTE),
                                                                        &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return errno;
  }
  std::array<char, 8192> buffer{};
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_NEWLINK;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  header->nlmsg_seq = 1;
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_strz(header, IFLA_IFNAME, device.c_str());
  nlattr* const info = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "netkit");
  nlattr* const data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  mnl_attr_put_u32(header, kMode, mode);
  nlattr* const of_peer = mnl_attr_nest_start(header, kPeerInfo);
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_strz(header, IFLA_IFNAME, peer.c_str());
  mnl_attr_put_u32(header, IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer_namespace));
  mnl_attr_nest_end(header, of_peer);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, info);
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) {
    return errno;
  }
  const auto received = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
  if (received < 0 || mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), 1,
                                 mnl_socket_get_portid(socket.get()), nullptr, nullptr) < 0) {
    return errno;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s DEVICE PEER NETNS l2|l3\n", argv[0]);
    return 2;
  }
  const std::string netns = std::string("/run/netns/") + argv[3];
  const int peer_namespace = open(netns.c_str(), O_RDONLY | O_CLOEXEC);
  const int error = peer_namespace < 0
                        ? errno
                        : make_pair(argv[1], argv[2], peer_namespace, argv[4] == std::string("l2") ? kL2 : kL3);
  if (error != 0) {
    std::fprintf(stderr, "netkit_pair %s %s: %s\n", argv[1], argv[2],
                 error == EOPNOTSUPP ? "this kernel has no netkit (6.7, CONFIG_NETKIT)" : std::strerror(error));
  }
  return error == 0 ? 0 : error == EOPNOTSUPP ? kNoNetkit : 1;
}
