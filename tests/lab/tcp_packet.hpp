// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/ip.h>
#include <netinet/tcp.h>

#include <cstdint>
#include <span>

namespace hairpind::testing {

/// A whole IPv4 packet: a TCP segment without options and data.
struct TcpPacket {
  iphdr ip;
  tcphdr tcp;
};
static_assert(sizeof(TcpPacket) == 40);

/// All in host order.
struct TcpFields {
  std::uint32_t source = 0;
  std::uint16_t source_port = 0;
  std::uint32_t destination = 0;
  std::uint16_t destination_port = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint8_t flags = 0;  ///< TH_SYN, ...
};

/// With its checksum; the kernel fills in IP's when it is sent.
TcpPacket make_tcp_packet(const TcpFields& fields);

/// By a raw socket (IPPROTO_RAW), to `destination` in host order: where the kernel routes to, whatever is in the
/// packets. Returns how many were sent.
std::uint32_t send_raw(int socket, std::span<TcpPacket> packets, std::uint32_t destination);

}  // namespace hairpind::testing
