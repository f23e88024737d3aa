// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hairpind/abi.h"

namespace hairpind {

/// An IPv4 or IPv6 address: 16 bytes in network order, IPv4 stored IPv4-mapped (RFC 4291, 2.5.5.2), the
/// form that abi.h shares with the kernel side. All zero means "not known".
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const IpAddress&) const = default;

  [[nodiscard]] bool is_v4() const;
  /// True for the all-zero value.
  [[nodiscard]] bool empty() const;
  /// Of one link alone: 169.254.0.0/16 (RFC 3927), fe80::/10.
  [[nodiscard]] bool is_link_local() const;
  /// Dotted quad for IPv4, RFC 5952 for IPv6.
  [[nodiscard]] std::string to_string() const;

  /// Accepts exactly what inet_pton(3) accepts, without brackets, zone or port.
  static std::optional<IpAddress> parse(std::string_view text);
  /// `network` holds 4 or 16 bytes in network order; any other length gives nullopt.
  static std::optional<IpAddress> from_network(const void* network, std::size_t length);
  static IpAddress from_abi(const hp_address& address);
  [[nodiscard]] hp_address to_abi() const;
};

/// Address and port. The port is in host order.
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  auto operator<=>(const Endpoint&) const = default;

  /// True for the all-zero value: not seen.
  [[nodiscard]] bool empty() const { return port == 0 && address.empty(); }
  /// "10.0.5.5:443", "[fd00::5]:443".
  [[nodiscard]] std::string to_string() const;

  static Endpoint from_abi(const hp_endpoint& endpoint);
  [[nodiscard]] hp_endpoint to_abi() const;
};

}  // namespace hairpind
