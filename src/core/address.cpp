// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace hairpind {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::uint16_t swap_port(std::uint16_t port) {
  return std::endian::native == std::endian::little ? __builtin_bswap16(port) : port;
}

}  // namespace

bool IpAddress::is_v4() const {
  return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin());
}

bool IpAddress::empty() const {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_link_local() const {
  return is_v4() ? bytes[12] == 169 && bytes[13] == 254 : bytes[0] == 0xfe && (bytes[1] & 0xc0U) == 0x80;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_v4()) {
    inet_ntop(AF_INET, bytes.data() + kMappedPrefix.size(), text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
  }
  return text.data();
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  std::array<std::uint8_t, 16> network{};
  if (inet_pton(AF_INET, terminated.c_str(), network.data()) == 1) {
    return from_network(network.data(), 4);
  }
  if (inet_pton(AF_INET6, terminated.c_str(), network.data()) == 1) {
    return from_network(network.data(), 16);
  }
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::from_network(const void* network, std::size_t length) {
  IpAddress address;
  if (length == 4) {
    std::ranges::copy(kMappedPrefix, address.bytes.begin());
    std::memcpy(address.bytes.data() + kMappedPrefix.size(), network, length);
    return address;
  }
  if (length == 16) {
    std::memcpy(address.bytes.data(), network, length);
    return address;
  }
  return std::nullopt;
}

IpAddress IpAddress::from_abi(const hp_address& address) {
  IpAddress result;
  std::memcpy(result.bytes.data(), &address, sizeof(address));
  return result;
}

hp_address IpAddress::to_abi() const {
  hp_address result{};
  std::memcpy(&result, bytes.data(), sizeof(result));
  return result;
}

std::string Endpoint::to_string() const {
  const std::string host = address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
  return host + ":" + std::to_string(port);
}

Endpoint Endpoint::from_abi(const hp_endpoint& endpoint) {
  return {.address = IpAddress::from_abi(endpoint.address), .port = swap_port(endpoint.port)};
}

hp_endpoint Endpoint::to_abi() const {
  return {.address = address.to_abi(), .port = swap_port(port), .pad = 0};
}

}  // namespace hairpind
