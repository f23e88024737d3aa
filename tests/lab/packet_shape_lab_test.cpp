// SPDX-License-Identifier: Apache-2.0
// SYNs in the shapes that real devices hand to a TC program, which BPF_PROG_TEST_RUN cannot make: headers outside the
// linear part, tags that the stack has taken out of the packet. Needs root.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <span>
#include <vector>

#include "agent_process.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "lab_test.hpp"
#include "packet_builder.hpp"

namespace hairpind::testing {
namespace {

constexpr std::uint16_t kEthernetHeader = 14;
// Of a frame longer than a page, packet(7) puts what goes beyond the length of its virtio header into fragments.
constexpr std::size_t kLongerThanAPage = 5000;

// struct virtio_net_hdr, of a header that C++ cannot read (linux/virtio_net.h has a member `class`).
struct VnetHeader {
  std::uint8_t flags;
  std::uint8_t gso_type;
  std::uint16_t hdr_len;
  std::uint16_t gso_size;
  std::uint16_t csum_start;
  std::uint16_t csum_offset;
};
static_assert(sizeof(VnetHeader) == 10);

// Sends a frame from eth0 of the calling thread's namespace; the first `linear` bytes of it are the linear part.
void send_frame(const std::vector<std::uint8_t>& frame, std::uint16_t linear) {
  const FileDescriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  const int on = 1;
  ASSERT_EQ(setsockopt(socket.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
  sockaddr_ll device{};
  device.sll_family = AF_PACKET;
  device.sll_ifindex = static_cast<int>(if_nametoindex("eth0"));
  const VnetHeader header{
      .flags = 0, .gso_type = 0, .hdr_len = linear, .gso_size = 0, .csum_start = 0, .csum_offset = 0};
  std::vector<std::uint8_t> bytes(sizeof(header));
  std::copy_n(reinterpret_cast<const std::uint8_t*>(&header), sizeof(header), bytes.begin());
  std::ranges::copy(frame, std::back_inserter(bytes));
  ASSERT_EQ(
      sendto(socket.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&device), sizeof(device)),
      static_cast<ssize_t>(bytes.size()));
}

class PacketShapeTest : public LabTest {};

TEST_F(PacketShapeTest, EverySynIsSeenWhateverItsBufferLooksLike) {
  lab().set_mode("silent");
  lab().ip("node", {"link", "set", "veth1", "mtu", "9000"});
  lab().ip("p1", {"link", "set", "eth0", "mtu", "9000"});
  const AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443"});
  ASSERT_TRUE(agent.wait_until_ready());

  const auto v4 = [](std::uint32_t isn) {
    return PacketBuilder().from("10.0.1.10", 40000).to("10.0.5.5", 443).tcp(kSyn, isn).payload(kLongerThanAPage);
  };
  const auto v6 = [](std::uint32_t isn) {
    return PacketBuilder().from("fd00:1::10", 40000).to("fd00:5::5", 443).tcp(kSyn, isn).payload(kLongerThanAPage);
  };
  struct Shape {
    const char* description;
    PacketBuilder packet;
    std::uint16_t linear;
  };
  const std::vector<Shape> shapes{
      {"IPv4, all headers linear", v4(1), kEthernetHeader + 40},
      {"IPv4, the IP header in fragments", v4(2), kEthernetHeader},
      {"IPv4, the TCP header in fragments", v4(3), kEthernetHeader + 20},
      {"IPv4, the TCP header cut in two", v4(4), kEthernetHeader + 20 + 8},
      {"IPv4 with options in fragments", v4(5).ip_options(12), kEthernetHeader + 20},
      {"IPv4 with a VLAN tag", v4(6).vlan(ETH_P_8021Q), kEthernetHeader + 4 + 40},
      {"IPv4 with a VLAN tag, in fragments", v4(7).vlan(ETH_P_8021AD), kEthernetHeader + 4},
      {"IPv6, the IP header in fragments", v6(8), kEthernetHeader},
      {"IPv6, the TCP header in fragments", v6(9), kEthernetHeader + 40},
      {"IPv6, an extension header in fragments", v6(10).extension_header(0), kEthernetHeader + 40},
  };
  double seen = 0;
  for (const Shape& shape : shapes) {
    lab().inside("p1", [&] { send_frame(shape.packet.build(), shape.linear); });
    EXPECT_TRUE(
        eventually([&] { return agent.metric_sum("hairpind_syns_total") == seen + 1; }, std::chrono::seconds(5)))
        << shape.description;
    seen = agent.metric_sum("hairpind_syns_total");
  }
  EXPECT_EQ(agent.metric("hairpind_spoofed_sources_total"), 0);
}

// netkit in layer 3 mode, tun, WireGuard: the packet begins with the IP header.
TEST_F(PacketShapeTest, DevicesWithoutAnEthernetHeaderAreWatchedToo) {
  FileDescriptor tun;
  lab().inside("node", [&] {
    tun = FileDescriptor(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    std::strcpy(static_cast<char*>(request.ifr_name), "tunpod0");
    if (ioctl(tun.get(), TUNSETIFF, &request) != 0) {
      tun = FileDescriptor();
    }
  });
  if (tun.get() < 0) {
    GTEST_SKIP() << "cannot make a tun device";
  }
  lab().set_mode("silent");
  lab().ip("node", {"link", "set", "tunpod0", "up"});
  lab().ip("node", {"route", "add", "10.0.1.50", "dev", "tunpod0"});
  lab().ip("node", {"route", "add", "fd00:1::50", "dev", "tunpod0"});
  const AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443", "--pod-interface", "tunpod*"});
  ASSERT_TRUE(agent.wait_until_ready());
  double seen = 0;
  for (const PacketBuilder& packet :
       {PacketBuilder().from("10.0.1.50", 40000).to("10.0.5.5", 443).tcp(kSyn, 1),
        PacketBuilder().from("10.0.1.50", 40000).to("10.0.5.5", 443).tcp(kSyn, 2).ip_options(12),
        PacketBuilder().from("fd00:1::50", 40000).to("fd00:5::5", 443).tcp(kSyn, 3),
        PacketBuilder().from("fd00:1::50", 40000).to("fd00:5::5", 443).tcp(kSyn, 4).extension_header(0)}) {
    const std::vector<std::uint8_t> frame = packet.build();
    const auto bytes = std::span(frame).subspan(kEthernetHeader);
    ASSERT_EQ(write(tun.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    seen++;
    EXPECT_TRUE(eventually([&] { return agent.metric_sum("hairpind_syns_total") == seen; }, std::chrono::seconds(5)))
        << "packet " << seen;
  }
}

}  // namespace
}  // namespace hairpind::testing
