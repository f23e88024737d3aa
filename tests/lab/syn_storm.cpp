// SPDX-License-Identifier: Apache-2.0
#include "syn_storm.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <span>

#include "tcp_packet.hpp"

namespace hairpind::testing {
namespace {

constexpr std::uint32_t kClientNetwork = 0x0a020000;  // 10.2.0.0
constexpr std::uint32_t kLoadBalancer = 0x0a000505;   // 10.0.5.5
constexpr std::uint16_t kLoadBalancerPort = 443;
constexpr std::uint32_t kFirstPort = 1024;
// Less than a CPU's queue of received packets (net.core.netdev_max_backlog), which they pass once for each device.
constexpr std::size_t kWindow = 256;
constexpr std::size_t kBatch = 64;
constexpr std::chrono::seconds kRetransmit{1};
constexpr std::chrono::seconds kStalled{30};

TcpPacket make_syn(std::uint32_t client, std::uint32_t port, std::uint32_t isn,
                   std::uint32_t load_balancer = kLoadBalancer) {
  return make_tcp_packet({.source = client,
                          .source_port = static_cast<std::uint16_t>(port),
                          .destination = load_balancer,
                          .destination_port = kLoadBalancerPort,
                          .sequence = isn,
                          .flags = TH_SYN});
}

// p1's own RSTs: seen on their way out, as IP packets.
FileDescriptor open_receiver() {
  constexpr std::uint32_t kFlagsOffset = sizeof(iphdr) + 13;
  std::array<sock_filter, 6> filter{{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(iphdr, protocol)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 3),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlagsOffset),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x04 /* RST */, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, sizeof(TcpPacket)),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  const int buffer = 16 << 20;
  // Protocol 0 until it is bound: nothing gets in before the filter is there. Copies of what is sent go to
  // ETH_P_ALL sockets only.
  FileDescriptor receiver(socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  EXPECT_GE(receiver.get(), 0);
  EXPECT_EQ(setsockopt(receiver.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
  EXPECT_EQ(setsockopt(receiver.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)), 0);
  sockaddr_ll device{};
  device.sll_family = AF_PACKET;
  device.sll_protocol = htons(ETH_P_ALL);
  device.sll_ifindex = static_cast<int>(if_nametoindex("eth0"));
  EXPECT_EQ(bind(receiver.get(), reinterpret_cast<const sockaddr*>(&device), sizeof(device)), 0);
  return receiver;
}

}  // namespace

SynStorm::SynStorm(const NetworkLab& lab, std::uint32_t first_client, std::uint32_t clients)
    : first_client_(kClientNetwork + first_client), clients_(clients) {
  // One neighbour for all of them; p1 takes them all for its own.
  lab.ip("node", {"route", "replace", "10.2.0.0/23", "via", "10.0.1.10", "dev", "veth1"});
  lab.ip("net", {"route", "replace", "10.2.0.0/23", "via", "10.0.0.4"});
  lab.ip("p1", {"route", "replace", "local", "10.2.0.0/23", "dev", "lo"});
  lab.inside("p1", [this] {
    sender_ = FileDescriptor(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    EXPECT_GE(sender_.get(), 0);
    receiver_ = open_receiver();
  });
}

void SynStorm::send(const std::vector<std::uint32_t>& attempts) {
  std::vector<TcpPacket> packets;
  packets.reserve(attempts.size());
  for (const std::uint32_t attempt : attempts) {
    const std::uint32_t client = first_client_ + attempt % clients_;
    // Spread, as real ISNs are.
    packets.push_back(make_syn(client, kFirstPort + attempt / clients_, attempt * 2654435761U));
  }
  // What is not sent is repeated like what is lost.
  send_raw(sender_.get(), packets, kLoadBalancer);
  const auto now = std::chrono::steady_clock::now();
  for (const std::uint32_t attempt : attempts) {
    waiting_.push_back({.attempt = attempt, .sent = now});
  }
}

std::uint32_t SynStorm::receive() {
  std::array<TcpPacket, kBatch> packets{};
  std::array<iovec, kBatch> vectors{};
  std::array<mmsghdr, kBatch> messages{};
  for (std::size_t i = 0; i < kBatch; i++) {
    vectors[i] = {.iov_base = &packets[i], .iov_len = sizeof(TcpPacket)};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  std::uint32_t refused = 0;
  for (;;) {
    const int received = recvmmsg(receiver_.get(), messages.data(), kBatch, 0, nullptr);
    for (const TcpPacket& packet : std::span(packets).first(static_cast<std::size_t>(std::max(received, 0)))) {
      const std::uint32_t client = ntohl(packet.ip.saddr) - first_client_;
      const std::uint32_t attempt = (ntohs(packet.tcp.source) - kFirstPort) * clients_ + client;
      if (client >= clients_ || attempt >= refused_.size() || refused_[attempt]) {
        continue;
      }
      refused_[attempt] = true;
      refused++;
    }
    if (received < static_cast<int>(kBatch)) {
      return refused;
    }
  }
}

bool SynStorm::run(std::uint32_t count) {
  std::uint32_t next = attempts();
  refused_.resize(refused_.size() + count);
  auto progress = std::chrono::steady_clock::now();
  for (std::uint32_t left = count; left > 0;) {
    const auto now = std::chrono::steady_clock::now();
    if (now - progress > kStalled) {
      return false;
    }
    std::vector<std::uint32_t> batch;
    while (!waiting_.empty() && batch.size() < kBatch) {
      const Waiting& oldest = waiting_.front();
      if (!refused_[oldest.attempt]) {
        if (now - oldest.sent < kRetransmit) {
          break;
        }
        batch.push_back(oldest.attempt);
        retransmits_++;
      }
      waiting_.pop_front();
    }
    while (batch.size() < kBatch && waiting_.size() + batch.size() < kWindow && next < attempts()) {
      batch.push_back(next++);
    }
    if (!batch.empty()) {
      send(batch);
    } else {
      pollfd readable{.fd = receiver_.get(), .events = POLLIN, .revents = 0};
      poll(&readable, 1, 100);
    }
    if (const std::uint32_t refused = receive(); refused > 0) {
      left -= refused;
      progress = now;
    }
  }
  return true;
}

SynFlood::SynFlood(const NetworkLab& lab, const std::string& pod, const std::string& source,
                   const std::string& destination, std::uint32_t rate) {
  lab.inside(pod, [this] {
    sender_ = FileDescriptor(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    EXPECT_GE(sender_.get(), 0);
  });
  in_addr from{};
  in_addr to{};
  EXPECT_EQ(inet_pton(AF_INET, source.c_str(), &from), 1);
  EXPECT_EQ(inet_pton(AF_INET, destination.c_str(), &to), 1);
  thread_ = std::jthread([this, rate, from = ntohl(from.s_addr), to = ntohl(to.s_addr)](const std::stop_token& stop) {
    run(stop, from, to, rate);
  });
}

void SynFlood::run(const std::stop_token& stop, std::uint32_t source, std::uint32_t destination, std::uint32_t rate) {
  const auto begun = std::chrono::steady_clock::now();
  while (!stop.stop_requested()) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begun;
    if (sent_ > elapsed.count() * rate) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    std::array<TcpPacket, kBatch> packets{};
    for (std::uint32_t i = 0; i < kBatch; i++) {
      const std::uint32_t number = sent_ + i;
      packets[i] = make_syn(source, kFirstPort + number % 60000, number * 2654435761U, destination);
    }
    sent_ += send_raw(sender_.get(), packets, destination);
  }
}

}  // namespace hairpind::testing
