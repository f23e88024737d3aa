// SPDX-License-Identifier: Apache-2.0
#include "tcp_packet.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace hairpind::testing {
namespace {

// RFC 1071, over the pseudo header (RFC 9293, 3.1) and the segment.
std::uint16_t tcp_checksum(const TcpPacket& packet) {
  std::array<std::uint16_t, sizeof(tcphdr) / 2> words{};
  std::memcpy(words.data(), &packet.tcp, sizeof(packet.tcp));
  std::uint32_t sum = htons(IPPROTO_TCP) + htons(sizeof(tcphdr));
  for (const std::uint32_t address : {packet.ip.saddr, packet.ip.daddr}) {
    sum += (address & 0xffffU) + (address >> 16U);
  }
  for (const std::uint16_t word : words) {
    sum += word;
  }
  sum = (sum & 0xffffU) + (sum >> 16U);
  sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

TcpPacket make_tcp_packet(const TcpFields& fields) {
  TcpPacket packet{};
  packet.ip.version = 4;
  packet.ip.ihl = 5;
  packet.ip.ttl = 64;
  packet.ip.protocol = IPPROTO_TCP;
  packet.ip.saddr = htonl(fields.source);
  packet.ip.daddr = htonl(fields.destination);
  packet.tcp.source = htons(fields.source_port);
  packet.tcp.dest = htons(fields.destination_port);
  packet.tcp.seq = htonl(fields.sequence);
  packet.tcp.ack_seq = htonl(fields.acknowledgment);
  packet.tcp.doff = sizeof(tcphdr) / 4;
  packet.tcp.th_flags = fields.flags;
  packet.tcp.window = htons(64240);
  packet.tcp.check = tcp_checksum(packet);
  return packet;
}

std::uint32_t send_raw(int socket, std::span<TcpPacket> packets, std::uint32_t destination) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(destination);
  std::vector<iovec> vectors(packets.size());
  std::vector<mmsghdr> messages(packets.size());
  for (std::size_t i = 0; i < packets.size(); i++) {
    vectors[i] = {.iov_base = &packets[i], .iov_len = sizeof(TcpPacket)};
    messages[i].msg_hdr.msg_name = &to;
    messages[i].msg_hdr.msg_namelen = sizeof(to);
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int sent = sendmmsg(socket, messages.data(), static_cast<unsigned>(messages.size()), 0);
  return static_cast<std::uint32_t>(std::max(sent, 0));
}

}  // namespace hairpind::testing
