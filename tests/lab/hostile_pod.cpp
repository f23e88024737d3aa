// SPDX-License-Identifier: Apache-2.0
#include "hostile_pod.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <string>

#include "tcp_packet.hpp"

namespace hairpind::testing {
namespace {

constexpr std::uint32_t kOwn = 0x0a00011e;            // 10.0.1.30
constexpr std::uint32_t kSilentAddress = 0x0a00054d;  // kSilent
constexpr std::uint32_t kLoadBalancer = 0x0a000505;   // 10.0.5.5
constexpr std::uint32_t kVictim = 0x0a00010a;         // 10.0.1.10
constexpr std::uint32_t kElsewhere = 0x0a000909;      // 10.0.9.9
constexpr std::uint32_t kVictimsClients = 0x0a030000;
constexpr std::uint32_t kNobodys = 0x0a040000;
constexpr std::uint16_t kPort = 443;
constexpr std::uint16_t kServerPort = 8443;
constexpr std::size_t kBatch = 64;
constexpr double kHairpinsASecond = 20;

void add_pod(const NetworkLab& lab) {
  lab.ip("node",
         {"link", "add", "veth3", "type", "veth", "peer", "name", "eth0", "netns", lab.namespace_name("bystander")});
  lab.ip("node", {"link", "set", "veth3", "up"});
  lab.ip("node", {"addr", "add", "169.254.1.1/32", "dev", "veth3"});
  lab.ip("node", {"route", "replace", "10.0.1.30", "dev", "veth3"});
  lab.ip("bystander", {"addr", "add", "10.0.1.30/32", "dev", "eth0"});
  lab.ip("bystander", {"link", "set", "eth0", "up"});
  lab.ip("bystander", {"route", "add", "169.254.1.1", "dev", "eth0"});
  lab.ip("bystander", {"route", "add", "default", "via", "169.254.1.1", "dev", "eth0"});
}

}  // namespace

HostilePod::HostilePod(const NetworkLab& lab, std::uint32_t packets_a_second) {
  add_pod(lab);
  lab.inside("bystander", [this] {
    sender_ = FileDescriptor(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
    EXPECT_GE(sender_.get(), 0);
  });
  thread_ = std::jthread([this, packets_a_second](const std::stop_token& stop) { run(stop, packets_a_second); });
}

void HostilePod::run(const std::stop_token& stop, std::uint32_t packets_a_second) {
  const auto begun = std::chrono::steady_clock::now();
  for (std::uint32_t turn = 0; !stop.stop_requested(); turn++) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begun;
    if (hairpins_ < elapsed.count() * kHairpinsASecond) {
      send_hairpin();
    }
    if (static_cast<double>(sent_) > elapsed.count() * packets_a_second) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    switch (turn % 8) {
      case 0:
        send_in_others_names();
        break;
      case 1:
        answer_itself();
        break;
      default:
        flood(turn % 2 == 0);
    }
  }
}

void HostilePod::flood(bool own_address) {
  std::array<TcpPacket, kBatch> packets{};
  for (TcpPacket& packet : packets) {
    packet = make_tcp_packet({.source = own_address ? kOwn : kNobodys + static_cast<std::uint32_t>(random_() & 0xffffU),
                              .source_port = any_port(),
                              .destination = kSilentAddress,
                              .destination_port = kPort,
                              .sequence = static_cast<std::uint32_t>(random_()),
                              .flags = TH_SYN});
  }
  sent_ += send_raw(sender_.get(), packets, kSilentAddress);
}

void HostilePod::send_in_others_names() {
  std::array<TcpPacket, kBatch> packets{};
  for (TcpPacket& packet : packets) {
    const auto any = static_cast<std::uint32_t>(random_());
    packet = make_tcp_packet({.source = any % 4 == 0 ? kVictim : kVictimsClients + (any & 0x3ffU),
                              .source_port = any_port(),
                              .destination = kSilentAddress,
                              .destination_port = kPort,
                              .sequence = any,
                              .flags = TH_SYN});
  }
  sent_ += send_raw(sender_.get(), packets, kSilentAddress);
}

void HostilePod::answer_itself() {
  static constexpr std::array kNames{kVictim, kLoadBalancer, kElsewhere, kVictimsClients + 1};
  for (const std::uint32_t name : kNames) {
    const auto isn = static_cast<std::uint32_t>(random_());
    const std::uint16_t port = any_port();
    std::array syn{make_tcp_packet({.source = kOwn,
                                    .source_port = port,
                                    .destination = kSilentAddress,
                                    .destination_port = kPort,
                                    .sequence = isn,
                                    .flags = TH_SYN})};
    std::array answer{make_tcp_packet({.source = name,
                                       .source_port = kServerPort,
                                       .destination = kOwn,
                                       .destination_port = port,
                                       .sequence = 1,
                                       .acknowledgment = isn + 1,
                                       .flags = TH_SYN | TH_ACK})};
    std::array refusal{make_tcp_packet({.source = kOwn,
                                        .source_port = port,
                                        .destination = name,
                                        .destination_port = kServerPort,
                                        .sequence = isn + 1,
                                        .flags = TH_RST})};
    std::array unasked{make_tcp_packet({.source = kOwn,
                                        .source_port = kServerPort,
                                        .destination = kVictim,
                                        .destination_port = port,
                                        .sequence = 1,
                                        .acknowledgment = isn,
                                        .flags = TH_SYN | TH_ACK})};
    // By way of the node, which routes it back: addressed to itself it would never leave.
    sent_ += send_raw(sender_.get(), syn, kSilentAddress) + send_raw(sender_.get(), answer, kLoadBalancer) +
             send_raw(sender_.get(), refusal, name) + send_raw(sender_.get(), unasked, kVictim);
  }
}

void HostilePod::send_hairpin() {
  std::array syn{make_tcp_packet({.source = kNobodys + hairpins_ + 1,
                                  .source_port = any_port(),
                                  .destination = kLoadBalancer,
                                  .destination_port = kPort,
                                  .sequence = static_cast<std::uint32_t>(random_()),
                                  .flags = TH_SYN})};
  hairpins_ += send_raw(sender_.get(), syn, kLoadBalancer);
}

}  // namespace hairpind::testing
