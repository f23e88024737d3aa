// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "hairpind/core/address.hpp"

namespace hairpind::testing {

/// "10.0.1.10", "fd00::1"; aborts on anything else.
IpAddress ip(std::string_view text);

enum TcpFlag : std::uint8_t { kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10 };

/// Builds one Ethernet frame. Checksums are left out: nothing under test reads them.
class PacketBuilder {
 public:
  PacketBuilder& from(std::string_view address, std::uint16_t port);
  PacketBuilder& to(std::string_view address, std::uint16_t port);
  PacketBuilder& tcp(std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledgment = 0);
  PacketBuilder& payload(std::size_t bytes);
  PacketBuilder& source_mac(std::uint8_t last_byte);
  PacketBuilder& vlan(std::uint16_t ether_type);              ///< a tag inside the packet: 0x8100, 0x88a8
  PacketBuilder& ip_options(std::size_t bytes);               ///< IPv4, a multiple of 4
  PacketBuilder& tcp_options(std::size_t bytes);              ///< a multiple of 4, up to 40
  PacketBuilder& extension_header(std::uint8_t next_header);  ///< IPv6: 8 bytes of hop-by-hop (0), routing (43), ...
  PacketBuilder& fragment(std::uint16_t offset);              ///< in units of 8 bytes; IPv6: a fragment header
  PacketBuilder& protocol(std::uint8_t number);               ///< instead of TCP (6)
  PacketBuilder& truncate(std::size_t bytes);                 ///< cut the frame after so many bytes

  [[nodiscard]] std::vector<std::uint8_t> build() const;

 private:
  Endpoint source_;
  Endpoint destination_;
  std::uint8_t flags_ = 0;
  std::uint32_t sequence_ = 0;
  std::uint32_t acknowledgment_ = 0;
  std::size_t payload_ = 0;
  std::uint8_t source_mac_ = 1;
  std::uint16_t vlan_ = 0;
  std::size_t ip_options_ = 0;
  std::size_t tcp_options_ = 0;
  std::vector<std::uint8_t> extensions_;
  std::uint16_t fragment_ = 0;
  std::uint8_t protocol_ = 6;
  std::size_t truncate_ = 0;
};

}  // namespace hairpind::testing
