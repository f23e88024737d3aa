// SPDX-License-Identifier: Apache-2.0
// Cilium's map of its endpoints, as the kernel has it. Needs root. Its entries:
// tests/unit/net/cilium_endpoints_test.cpp.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
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
    const CiliumEndpointMap map;
    map.pin(filesystem);
    EXPECT_THAT(endpoints.refresh().opened, ElementsAre(pin));
    EXPECT_THAT(*endpoints.read(), IsEmpty());
    map.add(v4, 7);
    map.add(v6, 8);
    EXPECT_THAT(*endpoints.read(), ElementsAre(Pair(v4, 7), Pair(v6, 8)));
    EXPECT_THAT(endpoints.refresh().opened, IsEmpty()) << "it is the same";
  }
  ASSERT_EQ(unlink(pin.c_str()), 0);
  const CiliumEndpointMap second;
  second.pin(filesystem);
  second.add(v4, 9);
  EXPECT_THAT(endpoints.refresh().opened, ElementsAre(pin));
  EXPECT_THAT(*endpoints.read(), ElementsAre(Pair(v4, 9)));
  ASSERT_EQ(unlink(pin.c_str()), 0);
  EXPECT_THAT(endpoints.refresh().gone, ElementsAre(pin));
  EXPECT_THAT(*endpoints.read(), IsEmpty());
}

TEST_F(CiliumEndpointsTest, OfAnotherShapeAreRefusedOnce) {
  const FileDescriptor map(bpf_map_create(BPF_MAP_TYPE_HASH, "cilium_lxc", kCiliumEndpointKey, 56, 64, nullptr));
  ASSERT_EQ(bpf_obj_pin(map.get(), pin.c_str()), 0) << std::strerror(errno);
  EXPECT_THAT(endpoints.refresh().refused, ElementsAre(HasSubstr("has not the shape of Cilium's endpoints")));
  EXPECT_THAT(endpoints.refresh().refused, IsEmpty());
  EXPECT_THAT(*endpoints.read(), IsEmpty());
}

}  // namespace
}  // namespace hairpind::testing
