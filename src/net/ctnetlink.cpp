// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/ctnetlink.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace hairpind {
namespace {

// There as soon as, and for as long as, nf_conntrack is loaded.
constexpr const char* kConntrackLoaded = "/proc/sys/net/netfilter/nf_conntrack_max";
constexpr std::size_t kMessageBuffer = 8192;
constexpr std::uint32_t kSequence = 1;

struct ConntrackDeleter {
  void operator()(nf_conntrack* entry) const { nfct_destroy(entry); }
};
using Entry = std::unique_ptr<nf_conntrack, ConntrackDeleter>;

// IPv4 is stored IPv4-mapped.
const std::uint8_t* network_bytes(const IpAddress& address) {
  return address.bytes.data() + (address.is_v4() ? 12 : 0);
}

// The attributes take ports in network order.
Entry original_tuple(const ConntrackQuery& query) {
  Entry entry(nfct_new());
  const bool v4 = query.client.address.is_v4();
  nfct_set_attr_u8(entry.get(), ATTR_L3PROTO, v4 ? AF_INET : AF_INET6);
  nfct_set_attr_u8(entry.get(), ATTR_L4PROTO, IPPROTO_TCP);
  nfct_set_attr(entry.get(), v4 ? ATTR_IPV4_SRC : ATTR_IPV6_SRC, network_bytes(query.client.address));
  nfct_set_attr(entry.get(), v4 ? ATTR_IPV4_DST : ATTR_IPV6_DST, network_bytes(query.load_balancer.address));
  nfct_set_attr_u16(entry.get(), ATTR_PORT_SRC, htons(query.client.port));
  nfct_set_attr_u16(entry.get(), ATTR_PORT_DST, htons(query.load_balancer.port));
  return entry;
}

Endpoint reply_source(const nf_conntrack* entry, bool v4) {
  const void* const address = nfct_get_attr(entry, v4 ? ATTR_REPL_IPV4_SRC : ATTR_REPL_IPV6_SRC);
  if (address == nullptr) {
    return {};
  }
  return {.address = IpAddress::from_network(address, v4 ? 4 : 16).value_or(IpAddress{}),
          .port = ntohs(nfct_get_attr_u16(entry, ATTR_REPL_PORT_SRC))};
}

struct Reading {
  const ConntrackQuery& query;
  Conntrack conntrack = Conntrack::kUnchecked;
};

int on_entry(const nlmsghdr* header, void* context) {
  auto& reading = *static_cast<Reading*>(context);
  const Entry entry(nfct_new());
  if (nfct_nlmsg_parse(header, entry.get()) < 0) {
    return MNL_CB_ERROR;
  }
  const bool v4 = reading.query.client.address.is_v4();
  reading.conntrack =
      reply_source(entry.get(), v4) == reading.query.responder ? Conntrack::kTranslated : Conntrack::kNotTranslated;
  return MNL_CB_OK;
}

}  // namespace

Result<Conntrack> Ctnetlink::lookup(const ConntrackQuery& query) {
  if (access(kConntrackLoaded, F_OK) != 0) {
    return Conntrack::kUnchecked;
  }
  // The kernel answers while it takes the question in, so that there is never a wait for it.
  const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket(
      mnl_socket_open2(NETLINK_NETFILTER, SOCK_NONBLOCK | SOCK_CLOEXEC), &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return fail_errno("open a ctnetlink socket", errno);
  }
  const std::string what = "look up " + query.client.to_string() + " -> " + query.load_balancer.to_string() +
                           " in conntrack by netlink (CAP_NET_ADMIN and the module nf_conntrack_netlink are needed)";
  std::array<char, kMessageBuffer> buffer{};
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
  // Acknowledged, so that the end of the answer is known.
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = kSequence;
  auto* const general = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  general->nfgen_family = query.client.address.is_v4() ? AF_INET : AF_INET6;
  general->version = NFNETLINK_V0;
  if (nfct_nlmsg_build(header, original_tuple(query).get()) < 0 ||
      mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) {
    return fail_errno(what, errno);
  }
  Reading reading{.query = query};
  for (;;) {
    const auto received = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    const int state = received < 0 ? MNL_CB_ERROR
                                   : mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), kSequence,
                                                mnl_socket_get_portid(socket.get()), on_entry, &reading);
    if (state == MNL_CB_STOP) {
      return reading.conntrack;
    }
    if (state == MNL_CB_ERROR) {
      const int error = errno;
      if (error == ENOENT) {
        return Conntrack::kNoEntry;
      }
      return fail_errno(what, error);
    }
  }
}

}  // namespace hairpind
