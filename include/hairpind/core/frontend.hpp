// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "hairpind/core/address.hpp"
#include "hairpind/core/error.hpp"

namespace hairpind {

/// What counts as a load balancer: an address or a prefix, with one port or all of them.
struct Frontend {
  IpAddress address;                 ///< the prefix's first address when prefix_length < 128
  std::uint8_t prefix_length = 128;  ///< of the 128-bit form: an IPv4 /24 is 120
  std::uint16_t port = 0;            ///< host order; 0 = every port

  auto operator<=>(const Frontend&) const = default;

  [[nodiscard]] bool is_prefix() const { return prefix_length < 128; }
  /// Whether it stands for this address, on whatever port.
  [[nodiscard]] bool covers(const IpAddress& other) const;
  [[nodiscard]] std::string to_string() const;
};

/// A load balancer given by name; its addresses come from DNS.
struct HostName {
  std::string name;
  std::uint16_t port = 0;  ///< host order; 0 = every port

  auto operator<=>(const HostName&) const = default;
};

/// Who has named a load balancer.
enum class LoadBalancerOrigin : std::uint8_t {
  kService,     ///< of the cluster
  kConfigured,  ///< --lb
  kLearned,     ///< nobody: it has sent a client's SYN back (S0)
};

/// The words of alerts and metric labels: "service", "configured", "learned".
std::string_view to_string(LoadBalancerOrigin origin);

using LoadBalancerSpec = std::variant<Frontend, HostName>;

/// Parses one `--lb` value: ADDR[:PORT], [V6]:PORT, CIDR, or HOST[:PORT]. A CIDR with host bits set, a
/// port on a CIDR, a port outside 1-65535 and anything that is neither address nor host name is an error
/// that says what was expected.
Result<LoadBalancerSpec> parse_load_balancer(std::string_view text);

}  // namespace hairpind
