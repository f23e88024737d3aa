// SPDX-License-Identifier: Apache-2.0
// Cilium's map of its endpoints, as the kernel has it. Needs root. Its entries:
// tests/unit/net/cilium_endpoints_test.cpp.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>

#include "cilium_maps.hpp"
#include "hairpind/net/cilium_endpoints.hpp"

namespace hairpind::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class CiliumEndpointsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!filesystem.unavailable().empty()) {
      GTEST_SKIP() << filesystem.unavailable();
    }
  }

  FileDescriptor make(std::uint32_t value_size = kCiliumEndpointInfo) const {
    FileDescriptor map(bpf_map_create(BPF_MAP_TYPE_HASH, "cilium_lxc", kCiliumEndpointKey, value_size, 64, nullptr));
    EXPECT_EQ(bpf_obj_pin(map.get(), pin.c_str()), 0) << std::strerror(errno);
    return map;
  }
  static void add(const FileDescriptor& map, const IpAddress& address, std::uint32_t ifindex) {
    std::array<std::byte, kCiliumEndpointKey> key{};
    std::array<std::byte, kCiliumEndpointInfo> value{};
    const std::size_t skip = address.is_v4() ? 12 : 0;
    std::memcpy(key.data(), address.bytes.data() + skip, 16 - skip);
    key[16] = address.is_v4() ? std::byte{1} : std::byte{2};
    std::memcpy(value.data(), &ifindex, sizeof(ifindex));
    EXPECT_EQ(bpf_map_update_elem(map.get(), key.data(), value.data(), BPF_ANY), 0) << std::strerror(errno);
  }

  const BpfFilesystem filesystem;
  const std::string pin = filesystem.root() + "/tc/globals/cilium_lxc";
  const IpAddress v4 = *IpAddress::parse("10.0.1.10");
  const IpAddress v6 = *IpAddress::parse("fd00:1::10");
  CiliumEndpoints endpoints{{"/nowhere", filesystem.root()}};
};

TEST_F(CiliumEndpointsTest, AreReadAndMayComeLaterAndBeReplacedAndGo) {
  EXPECT_THAT(endpoints.refresh().opened, IsEmpty());
  EXPECT_THAT(*endpoints.read(), IsEmpty());
  {
    const FileDescriptor map = make();
    EXPECT_THAT(endpoints.refresh().opened, ElementsAre(pin));
    EXPECT_THAT(*endpoints.read(), IsEmpty());
    add(map, v4, 7);
    add(map, v6, 8);
    EXPECT_THAT(*endpoints.read(), ElementsAre(Pair(v4, 7), Pair(v6, 8)));
    EXPECT_THAT(endpoints.refresh().opened, IsEmpty()) << "it is the same";
  }
  ASSERT_EQ(unlink(pin.c_str()), 0);
  const FileDescriptor second = make();
  add(second, v4, 9);
  EXPECT_THAT(endpoints.refresh().opened, ElementsAre(pin));
  EXPECT_THAT(*endpoints.read(), ElementsAre(Pair(v4, 9)));
  ASSERT_EQ(unlink(pin.c_str()), 0);
  EXPECT_THAT(endpoints.refresh().gone, ElementsAre(pin));
  EXPECT_THAT(*endpoints.read(), IsEmpty());
}

TEST_F(CiliumEndpointsTest, OfAnotherShapeAreRefusedOnce) {
  const FileDescriptor map = make(56);
  EXPECT_THAT(endpoints.refresh().refused, ElementsAre(HasSubstr("has not the shape of Cilium's endpoints")));
  EXPECT_THAT(endpoints.refresh().refused, IsEmpty());
  EXPECT_THAT(*endpoints.read(), IsEmpty());
}

}  // namespace
}  // namespace hairpind::testing
