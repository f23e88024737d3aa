// SPDX-License-Identifier: Apache-2.0
// What is a load balancer (bpf/frontend.h, bpf/load_balancer.h).
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

TEST_F(HandshakeTest, FrontendsMatchByAddressAndPort) {
  const auto to = [&](const char* address, std::uint16_t port, std::uint32_t isn) {
    see(Hook::kFromPod, "pod1", PacketBuilder().from(kV4.p1, 40000).to(address, port).tcp(kSyn, isn));
    return counters(address, port).syns;
  };
  EXPECT_EQ(to(kV4.lb, 443, 1), 1);
  EXPECT_EQ(to(kV4.lb, 80, 2), 0);
  EXPECT_EQ(to(kV4.elsewhere, 443, 3), 0);
  EXPECT_EQ(to(kV4.lb, 0, 10), 0) << "port 0 is no port, but the key of the address's own entry";

  ASSERT_TRUE(set_frontends({Frontend{.address = ip(kV4.lb)}, Frontend{.address = ip(kV4.elsewhere), .port = 80}}));
  EXPECT_EQ(to(kV4.lb, 80, 4), 1) << "an address without a port stands for every port";
  EXPECT_EQ(to(kV4.elsewhere, 80, 5), 1);
  EXPECT_EQ(to(kV4.elsewhere, 81, 6), 0);
  EXPECT_EQ(to(kV4.other_lb, 443, 7), 0) << "taken away";

  ASSERT_TRUE(set_frontends({Frontend{.address = ip(kV4.elsewhere), .port = 81}}));
  EXPECT_EQ(to(kV4.elsewhere, 80, 8), 1) << "one port gone, count as before";
  EXPECT_EQ(to(kV4.elsewhere, 81, 9), 1) << "the address's other port stays";
}

TEST_F(HandshakeTest, FrontendsMatchByPrefix) {
  load({.prefixes = true});
  ASSERT_TRUE(set_frontends({Frontend{.address = ip("10.0.5.0"), .prefix_length = 120},
                             Frontend{.address = ip("fd00:5::"), .prefix_length = 32}}));
  see(Hook::kFromPod, "pod1", syn(kV4));
  see(Hook::kFromPod, "pod1", syn(kV6));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(kV4.p1, 1).to("10.0.6.5", 443).tcp(kSyn, 1));
  EXPECT_EQ(counters(kV4.lb).syns, 1);
  EXPECT_EQ(counters(kV6.lb).syns, 1);
  EXPECT_EQ(counters("10.0.6.5").syns, 0);
}

TEST_F(HandshakeTest, AFrontendThatGoesLeavesTheOthersWithItsFilterBit) {
  const auto bit_of = [](const IpAddress& address) {
    const hp_address raw = address.to_abi();
    return hp_address_filter_bit(&raw);
  };
  const Frontend first{.address = ip("10.128.0.1"), .port = 443};
  Frontend second{.address = ip("10.129.0.0"), .port = 443};
  while (bit_of(second.address) != bit_of(first.address)) {
    if (++second.address.bytes[15] == 0) {
      second.address.bytes[14]++;
    }
  }
  const auto counted = [&](const Frontend& frontend, std::uint32_t isn) {
    const std::string address = frontend.address.to_string();
    const auto before = counters(address.c_str()).syns;
    see(Hook::kFromPod, "pod1", PacketBuilder().from(kV4.p1, 40000).to(address, 443).tcp(kSyn, isn));
    return counters(address.c_str()).syns == before + 1;
  };
  ASSERT_TRUE(change_frontends({first, second}, {}));
  EXPECT_TRUE(counted(first, 1));
  EXPECT_TRUE(counted(second, 2));
  ASSERT_TRUE(change_frontends({second}, {first, Frontend{.address = ip("10.130.0.1"), .port = 443}}));
  EXPECT_FALSE(counted(first, 3));
  EXPECT_TRUE(counted(second, 4));
  ASSERT_TRUE(change_frontends({}, {second}));
  EXPECT_FALSE(counted(second, 5));
  ASSERT_TRUE(change_frontends({first}, {}));
  EXPECT_TRUE(counted(first, 6));
}

TEST_F(HandshakeTest, LoadBalancersBeyondTheTableAreCountedTogether) {
  struct Caller {
    const char* device;
    const char* address;
    std::uint8_t mac;
  };
  constexpr std::array<Caller, 4> kCallers{
      {{"pod1", "10.0.1.10", 1}, {"pod2", "10.0.1.20", 1}, {"br1", "10.0.3.10", 0x11}, {"br2", "10.0.3.20", 0x12}}};
  load({.prefixes = true});
  ASSERT_TRUE(set_frontends({Frontend{.address = ip("10.128.0.0"), .prefix_length = 96 + 9}}));
  constexpr std::uint32_t kMany = 1500;
  for (std::uint32_t i = 0; i < kMany; i++) {
    const std::string lb = "10.128." + std::to_string(i / 256) + "." + std::to_string(i % 256);
    // Of four devices, each of which may fill a quarter.
    const Caller& caller = kCallers.at(i % kCallers.size());
    see(Hook::kFromPod, caller.device,
        PacketBuilder().from(caller.address, 40000).to(lb, 443).tcp(kSyn, i).source_mac(caller.mac));
  }
  std::uint64_t syns = 0;
  const auto all = counts->read_load_balancers();
  ASSERT_TRUE(all);
  for (const LoadBalancerCounters& counted : *all) {
    syns += counted.syns;
  }
  EXPECT_EQ(syns, kMany);
  EXPECT_EQ(all->size(), 1024);
  EXPECT_GT(total(HP_TOTAL_LB_TABLE_FULL), 0);
}

}  // namespace
}  // namespace hairpind::testing
