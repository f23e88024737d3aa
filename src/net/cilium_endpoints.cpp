// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/cilium_endpoints.hpp"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hairpind {
namespace {

// Offsets (cilium, bpf/lib/eps.h). Addresses are in network order, all else in the machine's.
constexpr std::size_t kFamily = 16;
constexpr std::size_t kClusterId = 18;
constexpr std::size_t kIfindex = 0;
constexpr std::size_t kFlags = 8;
// ENDPOINT_KEY_IPV4, ENDPOINT_KEY_IPV6; ENDPOINT_F_HOST | ENDPOINT_F_ATHOSTNS.
constexpr std::byte kIpv4{1};
constexpr std::byte kIpv6{2};
constexpr std::uint32_t kInNodeNamespace = 1U | 2U;

// More than any node has pods; a map that changes while it is read may tell of some twice.
constexpr int kMostEntries = 16384;

template <typename Number, std::size_t Size>
Number read_number(std::span<const std::byte, Size> bytes, std::size_t offset) {
  Number value{};
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

}  // namespace

std::optional<EndpointDevices::value_type> cilium_endpoint(std::span<const std::byte, kCiliumEndpointKey> key,
                                                           std::span<const std::byte, kCiliumEndpointInfo> value) {
  const std::byte family = key[kFamily];
  if ((family != kIpv4 && family != kIpv6) || read_number<std::uint16_t>(key, kClusterId) != 0) {
    return std::nullopt;
  }
  const auto ifindex = read_number<std::uint32_t>(value, kIfindex);
  if (ifindex == 0 || (read_number<std::uint32_t>(value, kFlags) & kInNodeNamespace) != 0) {
    return std::nullopt;
  }
  const auto address = IpAddress::from_network(key.data(), family == kIpv4 ? 4 : 16);
  if (!address || address->is_v4() != (family == kIpv4)) {
    return std::nullopt;
  }
  return EndpointDevices::value_type(*address, ifindex);
}

CiliumEndpoints::CiliumEndpoints(std::vector<std::string> roots)
    : roots_(std::move(roots)),
      map_({.name = "cilium_lxc",
            .key_size = kCiliumEndpointKey,
            .value_size = kCiliumEndpointInfo,
            .what = "Cilium's endpoints"}) {}

PinChanges CiliumEndpoints::refresh() {
  PinChanges changes;
  map_.refresh(roots_, changes);
  return changes;
}

Result<EndpointDevices> CiliumEndpoints::read() const {
  EndpointDevices endpoints;
  if (!readable()) {
    return endpoints;
  }
  std::array<std::byte, kCiliumEndpointKey> key{};
  std::array<std::byte, kCiliumEndpointInfo> value{};
  const void* previous = nullptr;
  for (int i = 0; i < kMostEntries; i++) {
    std::array<std::byte, kCiliumEndpointKey> next{};
    if (const int error = bpf_map_get_next_key(map_.fd(), previous, next.data()); error != 0) {
      if (error != -ENOENT) {
        return fail_errno("read the BPF map " + map_.path(), error);
      }
      break;
    }
    key = next;
    previous = key.data();
    // It may have gone since.
    if (bpf_map_lookup_elem(map_.fd(), key.data(), value.data()) != 0) {
      continue;
    }
    if (const auto endpoint = cilium_endpoint(key, value)) {
      endpoints.insert(*endpoint);
    }
  }
  return endpoints;
}

}  // namespace hairpind
