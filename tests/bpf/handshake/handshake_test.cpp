// SPDX-License-Identifier: Apache-2.0
#include "handshake_test.hpp"

#include <utility>

namespace hairpind::testing {
namespace {

constexpr int kNext = -1;

}  // namespace

INSTANTIATE_TEST_SUITE_P(Families, HandshakeFamilyTest, ::testing::Values(&kV4, &kV6), family_name);

PacketBuilder syn(const Addresses& a, std::uint16_t port, std::uint32_t isn) {
  return PacketBuilder().from(a.p1, port).to(a.lb, 443).tcp(kSyn, isn);
}

PacketBuilder synack(const char* source, std::uint16_t source_port, const char* client, std::uint16_t port,
                     std::uint32_t isn) {
  return PacketBuilder().from(source, source_port).to(client, port).tcp(kSyn | kAck, 7, isn + 1);
}

PacketBuilder returned(const char* source, const char* destination, std::uint16_t destination_port, std::uint16_t port,
                       std::uint32_t isn) {
  return PacketBuilder().from(source, port).to(destination, destination_port).tcp(kSyn, isn);
}

void HandshakeTest::SetUp() {
  NodeTest::SetUp();
  if (!IsSkipped()) {
    use(fresh_kernel_side(features()));
  }
}

void HandshakeTest::load(Programs::Options options, const KernelFeatures& with) {
  auto loaded = KernelSide::load(options, *choose_attach_mode("auto", with), with, true);
  ASSERT_TRUE(loaded) << loaded.error().message;
  own = *std::move(loaded);
  use(*own);
}

void HandshakeTest::use(KernelSide& side) {
  kernel = &side;
  counts = kernel->counters.get();
  ASSERT_TRUE(set_frontends(
      {Frontend{.address = ip(kV4.lb), .port = 443}, Frontend{.address = ip(kV4.other_lb), .port = 443},
       Frontend{.address = ip(kV6.lb), .port = 443}, Frontend{.address = ip(kV6.other_lb), .port = 443}}));
  ASSERT_TRUE(kernel->attachments.set_node_addresses({ip(kV4.node), ip(kV6.node), ip("10.0.3.1")}));
  attach_devices(*kernel);
}

bool HandshakeTest::change_frontends(const std::vector<Frontend>& added, const std::vector<Frontend>& removed) const {
  return kernel->frontends.change(added, removed).frontends.empty();
}

bool HandshakeTest::set_frontends(const std::vector<Frontend>& wanted) const {
  const std::vector<Frontend> before(kernel->frontends.watched().begin(), kernel->frontends.watched().end());
  return change_frontends({}, before) && change_frontends(wanted, {});
}

void HandshakeTest::see(Hook hook, const std::string& device, const PacketBuilder& packet) const {
  pass(hook, device, packet.build());
}

void HandshakeTest::pass(Hook hook, const std::string& device, const std::vector<std::uint8_t>& packet) const {
  const RunResult result = run_program(kernel->programs->fd(hook), packet, ifindex_of(device));
  EXPECT_EQ(result.verdict, kNext);
  EXPECT_TRUE(result.unchanged);
}

void HandshakeTest::hairpin_ip_target(const Addresses& a, std::uint16_t port, std::uint32_t isn) const {
  see(Hook::kFromPod, "pod1", syn(a, port, isn));
  see(Hook::kToNet, "eth0", syn(a, port, isn));
  see(Hook::kFromNet, "eth0", returned(a.p1, a.p2, 8443, port, isn));
  see(Hook::kFromPod, "pod2", synack(a.p2, 8443, a.p1, port, isn));
  see(Hook::kToPod, "pod1", synack(a.p2, 8443, a.p1, port, isn));
}

void HandshakeTest::hairpin_suspected(const Addresses& a) const {
  see(Hook::kFromPod, "pod1", syn(a));
  see(Hook::kFromNet, "eth0", returned(a.p1, a.p2, 8443));
  see(Hook::kFromPod, "pod2", synack(a.p2, 8443, a.p1));
}

std::vector<Event> HandshakeTest::events() const {
  std::vector<Event> result;
  const auto polled = kernel->ring.poll([&](const Event& event) { result.push_back(event); });
  EXPECT_TRUE(polled) << polled.error().message;
  return result;
}

LoadBalancerCounters HandshakeTest::counters(const char* lb, std::uint16_t port) const {
  const auto all = counts->read_load_balancers();
  EXPECT_TRUE(all);
  for (const LoadBalancerCounters& counted : *all) {
    if (counted.load_balancer == Endpoint{.address = ip(lb), .port = port}) {
      return counted;
    }
  }
  return {};
}

std::uint64_t HandshakeTest::sweep_at(SinceBoot now) const {
  const auto undecided = kernel->settler.sweep(now);
  EXPECT_TRUE(undecided);
  return undecided.value_or(0);
}

SinceBoot HandshakeTest::monotonic_now() {
  return std::chrono::duration_cast<SinceBoot>(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace hairpind::testing
