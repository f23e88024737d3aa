// SPDX-License-Identifier: Apache-2.0
#include "bpf_runner.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace hairpind::testing {
namespace {

[[noreturn]] void give_up(const std::string& what, int error) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(std::abs(error)));
  std::abort();
}

}  // namespace

RunResult run_program(int program_fd, const std::vector<std::uint8_t>& packet, std::uint32_t ifindex, int repeat,
                      std::uint32_t ingress_ifindex) {
  std::vector<std::uint8_t> out(packet.size() + 256);
  __sk_buff context{};
  context.ifindex = ifindex;
  context.ingress_ifindex = ingress_ifindex;
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = packet.data();
  options.data_size_in = static_cast<std::uint32_t>(packet.size());
  options.data_out = out.data();
  options.data_size_out = static_cast<std::uint32_t>(out.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof(context);
  options.repeat = repeat;
  if (const int error = bpf_prog_test_run_opts(program_fd, &options); error != 0) {
    give_up("BPF_PROG_TEST_RUN", error);
  }
  out.resize(options.data_size_out);
  return {.verdict = static_cast<int>(options.retval),
          .unchanged = out == packet,
          .nanoseconds = static_cast<double>(options.duration)};
}

std::string enter_node_namespace() {
  if (geteuid() != 0) {
    return "not root: loading BPF programs needs it";
  }
  if (unshare(CLONE_NEWNET) != 0) {
    return "cannot make a network namespace";
  }
  const char* const script = R"(set -e
    ip link set lo up
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    for d in pod1 pod2 eth0 br1 br2; do ip link add $d type veth peer name $d-peer; ip link set $d up; ip link set $d-peer up; done
    ip addr add 10.0.0.4/24 dev eth0
    ip addr add fd00::4/64 dev eth0 nodad
    ip route add default via 10.0.0.1
    ip route add default via fd00::1 dev eth0
    ip route add 10.0.1.10 dev pod1
    ip route add 10.0.1.20 dev pod2
    ip route add fd00:1::10 dev pod1
    ip route add fd00:1::20 dev pod2
    ip link add cni0 type bridge
    ip link set cni0 up
    ip link set br1 master cni0
    ip link set br2 master cni0
    ip addr add 10.0.3.1/24 dev cni0
    ip neigh replace 10.0.3.10 lladdr 02:00:00:00:00:11 dev cni0
    ip neigh replace 10.0.3.20 lladdr 02:00:00:00:00:12 dev cni0
  )";
  if (std::system(script) != 0) {
    return "cannot set up the namespace (is iproute2 there?)";
  }
  return {};
}

std::uint32_t ifindex_of(const std::string& device) {
  return if_nametoindex(device.c_str());
}

void add_conntrack_entry(const Endpoint& client, const Endpoint& frontend, const Endpoint& reply_source) {
  nf_conntrack* const entry = nfct_new();
  const bool v4 = client.address.is_v4();
  const auto set_address = [&](nf_conntrack_attr v4_attribute, nf_conntrack_attr v6_attribute,
                               const IpAddress& address) {
    nfct_set_attr(entry, v4 ? v4_attribute : v6_attribute, address.bytes.data() + (v4 ? 12 : 0));
  };
  nfct_set_attr_u8(entry, ATTR_L3PROTO, v4 ? AF_INET : AF_INET6);
  nfct_set_attr_u8(entry, ATTR_REPL_L3PROTO, v4 ? AF_INET : AF_INET6);
  nfct_set_attr_u8(entry, ATTR_L4PROTO, IPPROTO_TCP);
  nfct_set_attr_u8(entry, ATTR_REPL_L4PROTO, IPPROTO_TCP);
  set_address(ATTR_IPV4_SRC, ATTR_IPV6_SRC, client.address);
  set_address(ATTR_IPV4_DST, ATTR_IPV6_DST, frontend.address);
  set_address(ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, reply_source.address);
  set_address(ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST, client.address);
  nfct_set_attr_u16(entry, ATTR_PORT_SRC, htons(client.port));
  nfct_set_attr_u16(entry, ATTR_PORT_DST, htons(frontend.port));
  nfct_set_attr_u16(entry, ATTR_REPL_PORT_SRC, htons(reply_source.port));
  nfct_set_attr_u16(entry, ATTR_REPL_PORT_DST, htons(client.port));
  nfct_set_attr_u8(entry, ATTR_TCP_STATE, TCP_CONNTRACK_SYN_SENT);
  nfct_set_attr_u32(entry, ATTR_TIMEOUT, 100);
  nfct_handle* const handle = nfct_open(CONNTRACK, 0);
  if (handle == nullptr || nfct_query(handle, NFCT_Q_CREATE, entry) != 0) {
    give_up("create a conntrack entry", errno);
  }
  nfct_close(handle);
  nfct_destroy(entry);
}

}  // namespace hairpind::testing
