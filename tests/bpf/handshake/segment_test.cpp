// SPDX-License-Identifier: Apache-2.0
// What is a handshake segment at all (bpf/parse.h).
#include <gtest/gtest.h>

#include <vector>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

struct ParseCase {
  const char* description;
  PacketBuilder packet;
  bool counted;
};

TEST_F(HandshakeTest, SynIsFoundInEveryShapeAndNothingElseIs) {
  const auto v4 = [] { return syn(kV4); };
  const auto v6 = [] { return syn(kV6); };
  const std::vector<ParseCase> cases{
      {"IPv4", v4(), true},
      {"IPv4 with ECN bits", v4().tcp(kSyn | 0xc0, kIsn), true},
      {"IPv4 with 8 bytes of options", v4().ip_options(8), true},
      {"IPv4 with 40 bytes of options", v4().ip_options(40), true},
      {"IPv4 first fragment", v4().fragment(0x2000), true},
      {"IPv4 later fragment", v4().fragment(100), false},
      {"IPv4 with a VLAN tag", v4().vlan(0x8100), true},
      {"IPv4 with a VLAN tag and options", v4().vlan(0x88a8).ip_options(8), true},
      {"IPv4 cut in the VLAN tag", v4().vlan(0x8100).truncate(14 + 2), false},
      {"IPv4 with more options than bytes", v4().ip_options(40).truncate(14 + 20 + 8), false},
      {"IPv4 with data", v4().payload(1000), true},
      {"IPv4 data", v4().tcp(kAck | kPsh, kIsn).payload(1000), false},
      {"IPv4 FIN", v4().tcp(kFin | kAck, kIsn), false},
      {"IPv4 SYN and FIN", v4().tcp(kSyn | kFin, kIsn), false},
      {"IPv4 SYN and RST", v4().tcp(kSyn | kRst, kIsn), false},
      {"IPv4 UDP with the same bytes", v4().protocol(17), false},
      {"IPv4 header cut in TCP", v4().truncate(14 + 20 + 13), false},
      {"IPv6", v6(), true},
      {"IPv6 with a VLAN tag", v6().vlan(0x8100), true},
      {"IPv6 hop-by-hop", v6().extension_header(0), true},
      {"IPv6 with five extension headers",
       v6().extension_header(0).extension_header(60).extension_header(43).extension_header(60).extension_header(60),
       false},
      {"IPv6 hop-by-hop, routing, destination options",
       v6().extension_header(0).extension_header(43).extension_header(60), true},
      {"IPv6 first fragment", v6().fragment(0), true},
      {"IPv6 later fragment", v6().fragment(100), false},
      {"IPv6 UDP", v6().protocol(17), false},
      {"IPv6 header cut in TCP", v6().truncate(14 + 40 + 10), false},
      {"IPv6 header cut in an extension", v6().extension_header(0).truncate(14 + 40 + 2), false},
  };
  for (const ParseCase& test : cases) {
    SCOPED_TRACE(test.description);
    use(fresh_kernel_side(features()));
    see(Hook::kFromPod, "pod1", test.packet);
    EXPECT_EQ(counters(kV4.lb).syns + counters(kV6.lb).syns, test.counted ? 1 : 0);
  }
}

TEST_F(HandshakeTest, ArpPasses) {
  std::vector<std::uint8_t> arp(42, 0);
  arp[12] = 0x08;
  arp[13] = 0x06;
  for (const Hook hook : kAllHooks) {
    pass(hook, "pod1", arp);
  }
}

}  // namespace
}  // namespace hairpind::testing
