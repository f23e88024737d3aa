// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/frontend.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace hairpind {
namespace {

constexpr std::string_view kExpected =
    "expected ADDRESS[:PORT], [IPV6]:PORT, CIDR or HOST[:PORT], e.g. 10.0.5.5:443, [fd00::5]:443, 10.0.5.0/24, "
    "lb.example.com:443";

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return fail("load balancer '" + std::string(text) + "': " + std::string(why) + "; " + std::string(kExpected));
}

std::optional<unsigned> parse_number(std::string_view digits) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return value;
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view digits) {
  const auto port = parse_number(digits);
  if (!port || *port == 0 || *port > 65535) {
    return bad(text, "port '" + std::string(digits) + "' is not a number from 1 to 65535");
  }
  return static_cast<std::uint16_t>(*port);
}

// RFC 1123, 2.1, and the underscore that resolvers accept.
bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > 253 || name.front() == '.' || name.front() == '-') {
    return false;
  }
  const bool characters = std::ranges::all_of(
      name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_'; });
  // An address with a slip in it is not a host name: no top-level domain is all digits (RFC 3696, 2).
  const std::string_view last = name.substr(name.find_last_of('.') + 1);
  const bool numeric = std::ranges::all_of(last, [](unsigned char c) { return std::isdigit(c) != 0; });
  return characters && !numeric && name.find("..") == std::string_view::npos;
}

Result<LoadBalancerSpec> parse_prefix(std::string_view text, std::size_t slash) {
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) {
    return bad(text, "'" + std::string(text.substr(0, slash)) + "' is not an address");
  }
  const std::string_view rest = text.substr(slash + 1);
  if (rest.find(':') != std::string_view::npos) {
    return bad(text, "a CIDR stands for every port and takes none");
  }
  const unsigned width = address->is_v4() ? 32 : 128;
  const auto length = parse_number(rest);
  if (!length || *length > width) {
    return bad(text, "prefix length '" + std::string(rest) + "' is not a number from 0 to " + std::to_string(width));
  }
  const unsigned mapped = *length + (128 - width);
  IpAddress masked = *address;
  for (unsigned bit = mapped; bit < 128; bit++) {
    masked.bytes.at(bit / 8) &= static_cast<std::uint8_t>(~(0x80U >> (bit % 8)));
  }
  if (masked != *address) {
    return bad(text, "the address has bits beyond its prefix; did you mean " + masked.to_string() + "/" +
                         std::string(rest) + "?");
  }
  return Frontend{.address = *address, .prefix_length = static_cast<std::uint8_t>(mapped), .port = 0};
}

}  // namespace

std::string_view to_string(LoadBalancerOrigin origin) {
  switch (origin) {
    case LoadBalancerOrigin::kService:
      return "service";
    case LoadBalancerOrigin::kConfigured:
      return "configured";
    case LoadBalancerOrigin::kLearned:
      break;
  }
  return "learned";
}

bool Frontend::covers(const IpAddress& other) const {
  for (unsigned bit = 0; bit < prefix_length; bit++) {
    const unsigned mask = 0x80U >> (bit % 8);
    if (((address.bytes.at(bit / 8) ^ other.bytes.at(bit / 8)) & mask) != 0) {
      return false;
    }
  }
  return true;
}

std::string Frontend::to_string() const {
  if (is_prefix()) {
    return address.to_string() + "/" + std::to_string(address.is_v4() ? prefix_length - 96 : prefix_length);
  }
  return port == 0 ? address.to_string() : Endpoint{.address = address, .port = port}.to_string();
}

Result<LoadBalancerSpec> parse_load_balancer(std::string_view text) {
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    return parse_prefix(text, slash);
  }
  if (const auto address = IpAddress::parse(text)) {
    return Frontend{.address = *address};
  }
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    const auto address = close == std::string_view::npos ? std::nullopt : IpAddress::parse(text.substr(1, close - 1));
    if (!address || address->is_v4()) {
      return bad(text, "no IPv6 address between the brackets");
    }
    const std::string_view rest = text.substr(close + 1);
    if (rest.empty()) {
      return Frontend{.address = *address};
    }
    if (!rest.starts_with(':')) {
      return bad(text, "'" + std::string(rest) + "' after the brackets is not a port");
    }
    const auto port = parse_port(text, rest.substr(1));
    if (!port) {
      return std::unexpected(port.error());
    }
    return Frontend{.address = *address, .port = *port};
  }
  std::string_view host = text;
  std::uint16_t port = 0;
  if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    if (host.find(':') != std::string_view::npos) {
      return bad(text, "not an IPv6 address; one with a port is written in brackets");
    }
    const auto parsed = parse_port(text, text.substr(colon + 1));
    if (!parsed) {
      return std::unexpected(parsed.error());
    }
    port = *parsed;
  }
  if (const auto address = IpAddress::parse(host)) {
    return Frontend{.address = *address, .port = port};
  }
  if (!is_host_name(host)) {
    return bad(text, "'" + std::string(host) + "' is neither an address nor a host name");
  }
  return HostName{.name = std::string(host), .port = port};
}

}  // namespace hairpind
