// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/cilium_endpoints.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace hairpind {
namespace {

// cilium, bpf/lib/eps.h.
struct Key {
  std::uint8_t address[16] = {};
  std::uint8_t family = 0;
  std::uint8_t key = 0;
  std::uint16_t cluster_id = 0;
};
struct Info {
  std::uint32_t ifindex = 0;
  std::uint16_t unused = 0;
  std::uint16_t lxc_id = 0;
  std::uint32_t flags = 0;
  std::uint64_t mac = 0;
  std::uint64_t node_mac = 0;
  std::uint32_t sec_id = 0;
  std::uint32_t parent_ifindex = 0;
  std::uint32_t pad[2] = {};
};
static_assert(sizeof(Key) == kCiliumEndpointKey);
static_assert(sizeof(Info) == kCiliumEndpointInfo);

Key key_of(const char* text) {
  const IpAddress address = *IpAddress::parse(text);
  Key key;
  const std::size_t skip = address.is_v4() ? 12 : 0;
  std::memcpy(static_cast<void*>(key.address), address.bytes.data() + skip, 16 - skip);
  key.family = address.is_v4() ? 1 : 2;
  return key;
}

std::optional<EndpointDevices::value_type> read(const Key& key, const Info& info) {
  return cilium_endpoint(std::as_bytes(std::span(&key, 1)).first<kCiliumEndpointKey>(),
                         std::as_bytes(std::span(&info, 1)).first<kCiliumEndpointInfo>());
}

TEST(CiliumEndpoint, IsAnAddressAndItsDevice) {
  for (const char* const address : {"10.0.1.10", "fd00:1::10"}) {
    const auto endpoint = read(key_of(address), {.ifindex = 7, .lxc_id = 303, .mac = ~0ULL, .sec_id = 12345});
    ASSERT_TRUE(endpoint) << address;
    EXPECT_EQ(endpoint->first, *IpAddress::parse(address));
    EXPECT_EQ(endpoint->second, 7);
  }
}

TEST(CiliumEndpoint, TheNodesOwnAndWhatIsNotUnderstoodAreNone) {
  const Key pod = key_of("10.0.1.10");
  EXPECT_FALSE(read(pod, {.ifindex = 7, .flags = 1})) << "the node";
  EXPECT_FALSE(read(pod, {.ifindex = 7, .flags = 2})) << "in the node's namespace";
  EXPECT_TRUE(read(pod, {.ifindex = 7, .flags = 4 | 8})) << "not masqueraded";
  EXPECT_FALSE(read(pod, {.ifindex = 0}));
  Key other = pod;
  other.cluster_id = 3;
  EXPECT_FALSE(read(other, {.ifindex = 7})) << "another cluster's, whose addresses may be the same";
  other = pod;
  other.family = 3;
  EXPECT_FALSE(read(other, {.ifindex = 7}));
  Key mapped;
  mapped.family = 2;
  mapped.address[10] = mapped.address[11] = 0xff;
  EXPECT_FALSE(read(mapped, {.ifindex = 7})) << "an IPv6 address that would be taken for an IPv4 one";
}

}  // namespace
}  // namespace hairpind
