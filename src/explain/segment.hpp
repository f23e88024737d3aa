// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hairpind/core/address.hpp"

namespace hairpind {

/// The headers of a TCP packet. Host order.
struct Segment {
  Endpoint source;
  Endpoint destination;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  bool syn = false;
  bool has_ack = false;
  bool rst = false;
  bool fin = false;

  /// "SYN", "SYN-ACK", "RST".
  [[nodiscard]] std::string flags() const;
};

/// Of bytes from the network header; nullopt where they are no TCP packet, or too few. IPv6 extension headers that may
/// stand before TCP are passed over.
std::optional<Segment> parse_segment(std::string_view bytes);

}  // namespace hairpind
