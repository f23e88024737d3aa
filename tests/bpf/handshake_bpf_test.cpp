// SPDX-License-Identifier: Apache-2.0
// The packet programs, packet by packet, through BPF_PROG_TEST_RUN on the real kernel. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "bpf_runner.hpp"
#include "hairpind/bpf/kernel_side.hpp"
#include "packet_builder.hpp"
#include "shared_kernel_side.hpp"

namespace hairpind::testing {
namespace {

constexpr int kNext = -1;
constexpr std::uint32_t kIsn = 0x10203040;

// The words of DESIGN's drawing: P1 client pod, P2 target pod, both here; LB; NODE.
struct Addresses {
  const char* p1;
  const char* p2;
  const char* lb;
  const char* other_lb;
  const char* node;
  const char* elsewhere;
};
constexpr Addresses kV4{"10.0.1.10", "10.0.1.20", "10.0.5.5", "10.0.5.6", "10.0.0.4", "10.0.9.9"};
constexpr Addresses kV6{"fd00:1::10", "fd00:1::20", "fd00:5::5", "fd00:5::6", "fd00::4", "fd00:9::9"};

class HandshakeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { why_not() = enter_node_namespace(); }

  void SetUp() override {
    if (!why_not().empty()) {
      GTEST_SKIP() << why_not();
    }
    use(fresh_kernel_side(features()));
  }

  static std::string& why_not() {
    static std::string reason;
    return reason;
  }

  // Test packets end in kfree_skb, which the tracepoint would take for the kernel dropping them.
  static KernelFeatures features() {
    return KernelFeatures::probe().without(Feature::kDropReasons).without(Feature::kResetTracepoint);
  }

  // Loaded for this test alone, with options of its own.
  void load(Datapath::Options options, const KernelFeatures& with = features()) {
    auto loaded = KernelSide::load(options, *choose_attach_mode("auto", with), with, true);
    ASSERT_TRUE(loaded) << loaded.error().message;
    own = *std::move(loaded);
    use(*own);
  }

  void use(KernelSide& side) {
    kernel = &side;
    datapath = kernel->datapath.get();
    counts = kernel->counters.get();
    ASSERT_TRUE(set_frontends(
        {Frontend{.address = ip(kV4.lb), .port = 443}, Frontend{.address = ip(kV4.other_lb), .port = 443},
         Frontend{.address = ip(kV6.lb), .port = 443}, Frontend{.address = ip(kV6.other_lb), .port = 443}}));
    ASSERT_TRUE(kernel->attachments.set_node_addresses({ip(kV4.node), ip(kV6.node), ip("10.0.3.1")}));
    for (const char* const pod : {"pod1", "pod2", "br1", "br2"}) {
      const std::uint32_t master = std::string(pod).starts_with("br") ? ifindex_of("cni0") : 0;
      ASSERT_EQ(
          kernel->attachments.attach({.ifindex = ifindex_of(pod), .role = DeviceRole::kPod, .master_ifindex = master}),
          true);
    }
    ASSERT_EQ(kernel->attachments.attach({.ifindex = ifindex_of("eth0"), .role = DeviceRole::kUplink}), true);
  }

  bool change_frontends(const std::vector<Frontend>& added, const std::vector<Frontend>& removed) const {
    return kernel->frontends.change(added, removed).frontends.empty();
  }
  bool set_frontends(const std::vector<Frontend>& wanted) const {
    const std::vector<Frontend> before(kernel->frontends.watched().begin(), kernel->frontends.watched().end());
    return change_frontends({}, before) && change_frontends(wanted, {});
  }

  // Every packet of every test is passed on, untouched.
  void see(Hook hook, const std::string& device, const PacketBuilder& packet) {
    const RunResult result = run_program(datapath->program_fd(hook), packet.build(), ifindex_of(device));
    EXPECT_EQ(result.verdict, kNext);
    EXPECT_TRUE(result.unchanged);
  }

  static PacketBuilder syn(const Addresses& a, std::uint16_t port = 40000, std::uint32_t isn = kIsn) {
    return PacketBuilder().from(a.p1, port).to(a.lb, 443).tcp(kSyn, isn);
  }
  static PacketBuilder synack(const char* source, std::uint16_t source_port, const char* client,
                              std::uint16_t port = 40000, std::uint32_t isn = kIsn) {
    return PacketBuilder().from(source, source_port).to(client, port).tcp(kSyn | kAck, 7, isn + 1);
  }
  static PacketBuilder returned(const char* source, const char* destination, std::uint16_t destination_port,
                                std::uint16_t port = 40000, std::uint32_t isn = kIsn) {
    return PacketBuilder().from(source, port).to(destination, destination_port).tcp(kSyn, isn);
  }

  // DESIGN section 1, first row: LB rewrites only the destination.
  void hairpin_ip_target(const Addresses& a, std::uint16_t port = 40000, std::uint32_t isn = kIsn) {
    see(Hook::kFromPod, "pod1", syn(a, port, isn));
    see(Hook::kToNet, "eth0", syn(a, port, isn));
    see(Hook::kFromNet, "eth0", returned(a.p1, a.p2, 8443, port, isn));
    see(Hook::kFromPod, "pod2", synack(a.p2, 8443, a.p1, port, isn));
    see(Hook::kToPod, "pod1", synack(a.p2, 8443, a.p1, port, isn));
  }

  // The same up to where it may still be a legitimate, policy-routed connection.
  void hairpin_suspected(const Addresses& a) {
    see(Hook::kFromPod, "pod1", syn(a));
    see(Hook::kFromNet, "eth0", returned(a.p1, a.p2, 8443));
    see(Hook::kFromPod, "pod2", synack(a.p2, 8443, a.p1));
  }

  std::vector<Event> events() const {
    std::vector<Event> result;
    EXPECT_TRUE(datapath->poll([&](std::span<const std::byte> record) {
      const auto event = decode_event(record);
      ASSERT_TRUE(event) << event.error();
      result.push_back(*event);
    }));
    return result;
  }

  LoadBalancerCounters counters(const char* lb, std::uint16_t port = 443) const {
    const auto all = counts->read_load_balancers();
    EXPECT_TRUE(all);
    for (const LoadBalancerCounters& counted : *all) {
      if (counted.load_balancer == Endpoint{.address = ip(lb), .port = port}) {
        return counted;
      }
    }
    return {};
  }

  std::uint64_t total(hp_total index) const { return counts->read_totals().at(index); }

  // As if `elapsed` had passed since the newest packet.
  std::uint64_t sweep_after(std::chrono::nanoseconds elapsed) const { return sweep_at(monotonic_now() + elapsed); }

  static MonotonicTime monotonic_now() {
    return std::chrono::duration_cast<MonotonicTime>(std::chrono::steady_clock::now().time_since_epoch());
  }

  std::uint64_t sweep_at(MonotonicTime now) const {
    const auto undecided = datapath->sweep(now);
    EXPECT_TRUE(undecided);
    return undecided.value_or(0);
  }

  std::unique_ptr<KernelSide> own;
  KernelSide* kernel = nullptr;
  Datapath* datapath = nullptr;           ///< the kernel's
  const CounterReader* counts = nullptr;  ///< the kernel's
};

// --- what is a handshake segment at all -------------------------------------------------------------------

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
    const RunResult result = run_program(datapath->program_fd(hook), arp, ifindex_of("pod1"));
    EXPECT_EQ(result.verdict, kNext);
    EXPECT_TRUE(result.unchanged);
  }
}

// --- what is a load balancer ------------------------------------------------------------------------------

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

// --- verdicts -----------------------------------------------------------------------------------------------

class HandshakeFamilyTest : public HandshakeTest, public ::testing::WithParamInterface<const Addresses*> {
 protected:
  [[nodiscard]] const Addresses& a() const { return *GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Families, HandshakeFamilyTest, ::testing::Values(&kV4, &kV6),
                         [](const auto& parameter) { return parameter.param == &kV4 ? "ipv4" : "ipv6"; });

TEST_P(HandshakeFamilyTest, IpTarget) {
  hairpin_ip_target(a());
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  const Attempt& attempt = seen[0].attempt;
  EXPECT_EQ(seen[0].kind, EventKind::kMismatch);
  EXPECT_EQ(attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(attempt.client, (Endpoint{ip(a().p1), 40000}));
  EXPECT_EQ(attempt.load_balancer, (Endpoint{ip(a().lb), 443}));
  EXPECT_EQ(attempt.responder, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(attempt.synack_left, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(attempt.returned, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(attempt.responder_kind, ResponderKind::kLocalPod);
  EXPECT_EQ(attempt.isn, kIsn);
  EXPECT_EQ(attempt.synack_ack, kIsn + 1);
  EXPECT_EQ(attempt.syn_ifindex, ifindex_of("pod1"));
  EXPECT_EQ(attempt.synack_ifindex, ifindex_of("pod2"));
  EXPECT_EQ(attempt.conntrack, Conntrack::kNoEntry);
  EXPECT_EQ(attempt.outcome, Outcome::kUnknown);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_HAIRPIN_IP_TARGET], 1);
  EXPECT_EQ(counters(a().lb).syns, 1);

  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  const auto outcome = events();
  ASSERT_EQ(outcome.size(), 1);
  EXPECT_EQ(outcome[0].kind, EventKind::kOutcome);
  EXPECT_EQ(outcome[0].attempt.outcome, Outcome::kResetByClient);
}

TEST_P(HandshakeFamilyTest, NodePort) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().node), 30443}));
  EXPECT_EQ(seen[0].attempt.synack_left, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kNode);
}

// On a bridge whose packets netfilter does not see, the pod's answer is not translated back.
TEST_P(HandshakeFamilyTest, NodePortWhoseAnswerBypassesTheTranslation) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kLocalPod);
}

TEST_P(HandshakeFamilyTest, AnAnswerFloodedToAnotherPodIsNotDelivered) {
  hairpin_suspected(a());
  see(Hook::kToPod, "br2", synack(a().p2, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  see(Hook::kToPod, "br2", synack(a().lb, 443, a().p1));
  EXPECT_EQ(counters(a().lb).answered, 0);
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

// externalTrafficPolicy Cluster: the target sees the node's address, and a port of its choosing.
TEST_P(HandshakeFamilyTest, NodePortWithMasquerade) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().node, 1024));
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().node), 30443}));
  EXPECT_EQ(seen[0].attempt.synack_left, (Endpoint{ip(a().p2), 8443}));
}

TEST_P(HandshakeFamilyTest, NodePortWithMasqueradeAndTargetElsewhere) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  see(Hook::kToNet, "eth0", returned(a().node, a().elsewhere, 8443, 1024));
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
  EXPECT_TRUE(seen[0].attempt.synack_left.empty());
}

TEST_P(HandshakeFamilyTest, MasqueradeByTheNodeForItsOwnPodsIsLegitimate) {
  see(Hook::kFromPod, "pod1", syn(a()));
  // Never out on the uplink: the node translated the load balancer's address and hid the client.
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().node, 1024));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_TRUE(events().empty());
}

TEST_P(HandshakeFamilyTest, SameIsnToAStrangerIsNoEvidence) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  // Somebody else's handshake that happens to have the ISN: not for an address of this node.
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().elsewhere, 1024));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_TRUE(events().empty());
}

TEST_P(HandshakeFamilyTest, HostTarget) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 8443));
  see(Hook::kToPod, "pod1", synack(a().node, 8443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinHostTarget);
}

TEST_P(HandshakeFamilyTest, AnswerFromAnotherNode) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kAsymmetricRemote);
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kRemote);
}

TEST_P(HandshakeFamilyTest, RetransmitsAddNothing) {
  for (int i = 0; i < 5; i++) {
    hairpin_ip_target(a());
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  }
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 4);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
  const auto incidents = counts->read_incidents();
  ASSERT_TRUE(incidents);
  ASSERT_EQ(incidents->size(), 1);
  EXPECT_EQ(incidents->front().count, 1);
}

TEST_P(HandshakeFamilyTest, RetransmitsAreKnownAmongAttemptsWithTheSameLowIsnBits) {
  // The index by the low bits has room for two of them (maps.h).
  for (std::uint16_t i = 0; i < 3; i++) {
    see(Hook::kFromPod, "pod1", syn(a(), static_cast<std::uint16_t>(40000 + i), kIsn + i * 16384U));
  }
  see(Hook::kFromPod, "pod1", syn(a(), 40000, kIsn));
  EXPECT_EQ(counters(a().lb).syns, 3);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1);
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  EXPECT_EQ(counters(a().lb).answered, 1);
}

TEST_P(HandshakeFamilyTest, NewIsnOnTheSamePortIsANewAttempt) {
  hairpin_ip_target(a(), 40000, kIsn);
  hairpin_ip_target(a(), 40000, kIsn + 1000);
  EXPECT_EQ(counters(a().lb).syns, 2);
  EXPECT_EQ(counters(a().lb).mismatched, 2);
  EXPECT_EQ(counts->read_incidents()->front().count, 2) << "one pair, one incident";
}

TEST_P(HandshakeFamilyTest, WrongIsnIsNoAnswer) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 40000, kIsn + 1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 40000, kIsn - 1));
  EXPECT_THAT(events(), ::testing::IsEmpty());
  EXPECT_EQ(counters(a().lb).mismatched, 0);
}

TEST_P(HandshakeFamilyTest, TwoHandshakesFromOnePort) {
  see(Hook::kFromPod, "pod1", syn(a(), 40000, 1));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().other_lb, 443).tcp(kSyn, 2));
  see(Hook::kToPod, "pod1", synack(a().other_lb, 443, a().p1, 40000, 2));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 40000, 1));
  EXPECT_EQ(counters(a().other_lb).answered, 1);
  EXPECT_EQ(counters(a().lb).answered, 0);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

TEST_P(HandshakeFamilyTest, HealthyHandshakesEmitNothing) {
  for (std::uint16_t i = 0; i < 500; i++) {
    const auto port = static_cast<std::uint16_t>(40000 + i);
    see(Hook::kFromPod, "pod1", syn(a(), port, i));
    see(Hook::kToNet, "eth0", syn(a(), port, i));
    see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().p1, port, i));
    see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, port, i));
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, port).to(a().lb, 443).tcp(kAck, i + 1, 8));
  }
  EXPECT_EQ(counters(a().lb).answered, 500);
  EXPECT_EQ(total(HP_TOTAL_EVENTS), 0);
  EXPECT_EQ(sweep_after(std::chrono::seconds(0)), 0) << "nothing is left pending";
}

TEST_P(HandshakeFamilyTest, TheAnswerWinsOverSuspicion) {
  // Replies policy-routed out of the node: the LB's fabric restores the address (S6).
  hairpin_suspected(a());
  see(Hook::kToNet, "eth0", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sweep_after(std::chrono::seconds(10));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(HandshakeFamilyTest, RefusedByTheLoadBalancer) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", PacketBuilder().from(a().lb, 443).to(a().p1, 40000).tcp(kRst | kAck, 0, kIsn + 1));
  EXPECT_EQ(counters(a().lb).refused, 1);
  EXPECT_EQ(counters(a().lb).answered, 0);
}

TEST_P(HandshakeFamilyTest, ClientResetIsConclusiveWhereDeliveryIsNotSeen) {
  // bpf_redirect_peer skips to_pod.
  hairpin_suspected(a());
  EXPECT_THAT(events(), ::testing::IsEmpty()) << "a SYN-ACK leaving the pod is only suspicion";
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.outcome, Outcome::kResetByClient);
}

TEST_P(HandshakeFamilyTest, AResetToAResponderThatNoHookHasSeenProvesNothing) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "a pod may send RST to anybody";
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).unanswered, 1);
}

// --- datapaths that hand packets to the pod past its hooks (bpf_redirect_peer) ------------------------------

TEST_P(HandshakeFamilyTest, ARetransmitIsFoundAgainBehindNewerAttempts) {
  see(Hook::kFromPod, "pod1", syn(a()));
  // Their ISNs take its place among the tags (bpf/isn_tags.h), which are told apart by the low bits.
  for (std::uint16_t newer = 1; newer <= 8; newer++) {
    see(Hook::kFromPod, "pod1", syn(a(), static_cast<std::uint16_t>(40000 + newer), kIsn + newer * 1024U));
  }
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, kIsn + 1, 8));
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1);
  EXPECT_EQ(counters(a().lb).answered, 1);
}

TEST_P(HandshakeFamilyTest, TheClientsAckSaysThatTheLoadBalancerAnswered) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));  // translated back and redirected: no hook sees it
  const auto ack = [&](const char* to, std::uint32_t sequence) {
    return PacketBuilder().from(a().p1, 40000).to(to, 443).tcp(kAck, sequence, 8);
  };
  see(Hook::kFromPod, "pod1", ack(a().other_lb, kIsn + 1));
  see(Hook::kFromPod, "pod1", ack(a().lb, kIsn + 2));
  see(Hook::kFromPod, "pod2", ack(a().lb, kIsn + 1));
  EXPECT_EQ(counters(a().lb).answered, 0) << "another load balancer, another sequence number, another pod's device";
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1);
  see(Hook::kFromPod, "pod1", ack(a().lb, kIsn + 1));
  see(Hook::kFromPod, "pod1", ack(a().lb, kIsn + 1).payload(100));
  EXPECT_EQ(counters(a().lb).answered, 1);
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

// Both tables that find an attempt by its ISN alone go by its low bits.
TEST_P(HandshakeFamilyTest, TwoPendingAttemptsMayShareTheLowBitsOfTheirIsns) {
  constexpr std::uint32_t kOther = kIsn + (1U << 24U);
  for (const std::uint32_t isn : {kIsn, kOther}) {
    see(Hook::kFromPod, "pod1", syn(a(), 40000, isn));
    see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443, 40000, isn));
  }
  for (const std::uint32_t isn : {kIsn, kOther}) {
    see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().node, 1024, isn));
  }
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_HAIRPIN_NODE_PORT], 1);
  for (const std::uint32_t isn : {kOther, kIsn}) {
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, isn + 1));
  }
  EXPECT_EQ(counters(a().lb).answered, 1) << "the other one; the first was decided";
  const auto seen = events();
  ASSERT_EQ(seen.size(), 2);
  EXPECT_EQ(seen[1].attempt.outcome, Outcome::kCompleted) << "the first one's ACK was seen, too";
}

TEST_P(HandshakeFamilyTest, TheClientsResetToTheLoadBalancerSaysThatItAnswered) {
  hairpin_suspected(a());
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kRst, kIsn + 1));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).answered, 1) << "the client gave up before the answer came";
  EXPECT_EQ(counters(a().lb).mismatched, 0);
}

TEST_P(HandshakeFamilyTest, AnAnswerLostInsideTheNodeIsNoMismatch) {
  hairpin_suspected(a());
  see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().p1));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).unanswered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "the load balancer answered";
}

TEST_P(HandshakeFamilyTest, RefusalIsSeenWhereItComesIn) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", PacketBuilder().from(a().lb, 443).to(a().p1, 40000).tcp(kRst | kAck, 0, kIsn + 1));
  EXPECT_EQ(counters(a().lb).refused, 1);
}

TEST_P(HandshakeFamilyTest, AnswerFromAnotherNodeThatOnlyTheClientsResetProves) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "the node may still translate it";
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().elsewhere, 8443).tcp(kRst, kIsn + 1));
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], 1);
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().elsewhere), 8443}));
  EXPECT_EQ(seen[0].attempt.outcome, Outcome::kResetByClient);
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kRemote);
}

// --- SYN-ACKs that answer no SYN of the client's ------------------------------------------------------------

constexpr std::uint32_t kTheirIsn = 0x55667788;

// A load balancer that ends the client's TLS connection opens one of its own, under the client's address.
TEST_P(HandshakeFamilyTest, UnsolicitedSynAck) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  for (int repeated = 0; repeated < 2; repeated++) {
    see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443, 50000, kTheirIsn));
    see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 50000, kTheirIsn));
    see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 50000, kTheirIsn));
    EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_UNSOLICITED_SYNACK], repeated) << "not before the client refuses it";
    see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 50000).to(a().p2, 8443).tcp(kRst, kTheirIsn + 1));
    EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_UNSOLICITED_SYNACK], 1);
  }
  const LoadBalancerCounters counted = counters(a().lb);
  EXPECT_EQ(counted.syns, 1);
  EXPECT_EQ(counted.answered, 1);
  EXPECT_EQ(counted.mismatched, 0) << "the handshake with the load balancer went well";
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  const Attempt& attempt = seen[0].attempt;
  EXPECT_EQ(attempt.cause, Cause::kUnsolicitedSynAck);
  EXPECT_EQ(attempt.outcome, Outcome::kResetByClient);
  EXPECT_EQ(attempt.client, (Endpoint{ip(a().p1), 50000}));
  EXPECT_EQ(attempt.load_balancer, (Endpoint{ip(a().lb), 443})) << "the one that the client called last";
  EXPECT_EQ(attempt.responder, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(attempt.responder_kind, ResponderKind::kLocalPod);
  EXPECT_EQ(attempt.conntrack, Conntrack::kUnchecked);
}

TEST_P(HandshakeFamilyTest, UnsolicitedSynAckFromANodePort) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443, 50000, kTheirIsn));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 50000, kTheirIsn));
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1, 50000, kTheirIsn));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 50000).to(a().node, 30443).tcp(kRst, kTheirIsn + 1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kUnsolicitedSynAck);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().node), 30443}));
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kNode);
  EXPECT_EQ(seen[0].attempt.synack_left, (Endpoint{ip(a().p2), 8443}));
}

TEST_P(HandshakeFamilyTest, WhatAClientAcceptsOrNeverCalledForIsNotUnsolicited) {
  const auto sent_back = [&] {
    see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443, 50000, kTheirIsn));
    see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 50000, kTheirIsn));
    see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 50000, kTheirIsn));
  };
  const auto reset = [&] { return PacketBuilder().from(a().p1, 50000).to(a().p2, 8443).tcp(kRst, kTheirIsn + 1); };
  sent_back();
  see(Hook::kFromPod, "pod1", reset());
  EXPECT_THAT(events(), ::testing::IsEmpty()) << "this client has never called a load balancer";

  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sent_back();
  EXPECT_EQ(sweep_after(std::chrono::milliseconds(1)), 0) << "no attempt of the client's waits";
  see(Hook::kFromPod, "pod2", reset());
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1) << "the target knows the ISN, and is not the client";
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 50000).to(a().elsewhere, 8443).tcp(kRst, kTheirIsn + 1));
  sweep_after(std::chrono::seconds(4));
  see(Hook::kFromPod, "pod1", reset());
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_UNSOLICITED_SYNACK], 0) << "it was accepted, and is forgotten";
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

// --- what fools a naive detector ----------------------------------------------------------------------------

TEST_P(HandshakeFamilyTest, SimultaneousOpenIsAnswered) {
  // RFC 9293, 3.5, figure 8: both send SYN, and each answers the other's with SYN-ACK of its own ISN.
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", PacketBuilder().from(a().lb, 443).to(a().p1, 40000).tcp(kSyn, 7));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kSyn | kAck, kIsn, 8));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(HandshakeFamilyTest, SynCookiesOfARetransmitAreTheSameAnswer) {
  hairpin_ip_target(a());
  // A cookie is another sequence number of the server's each time; the acknowledgment stays.
  see(Hook::kToPod, "pod1", PacketBuilder().from(a().p2, 8443).to(a().p1, 40000).tcp(kSyn | kAck, 99, kIsn + 1));
  EXPECT_EQ(counters(a().lb).mismatched, 1);
  EXPECT_EQ(events().size(), 1);
}

TEST_P(HandshakeFamilyTest, ALoadBalancerAddressThatIsALocalPods) {
  ASSERT_TRUE(set_frontends({Frontend{.address = ip(a().p2), .port = 443}}));
  const auto to_pod2 = PacketBuilder().from(a().p1, 40000).to(a().p2, 443).tcp(kSyn, kIsn);
  see(Hook::kFromPod, "pod1", to_pod2);
  see(Hook::kToPod, "pod2", to_pod2);
  see(Hook::kFromPod, "pod2", synack(a().p2, 443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 443, a().p1));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().p2).answered, 1);
  EXPECT_EQ(counters(a().p2).mismatched, 0);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(HandshakeFamilyTest, AnotherAttemptsStaleAnswerIsNone) {
  hairpin_ip_target(a(), 40000, 1);
  see(Hook::kFromPod, "pod1", syn(a(), 40000, 1'000'000));  // the port is used again
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 40000, 1));
  EXPECT_EQ(counters(a().lb).syns, 2);
  EXPECT_EQ(counters(a().lb).mismatched, 1) << "the late answer is the first attempt's";
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 40000, 1'000'000));
  EXPECT_EQ(counters(a().lb).answered, 1);
}

TEST_P(HandshakeFamilyTest, AnsweredHandshakesAreTimed) {
  see(Hook::kFromPod, "pod1", syn(a(), 40000, 1));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 40000, 1));
  see(Hook::kFromPod, "pod1", syn(a(), 40001, 2));
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 40001, 2));
  const LoadBalancerCounters counted = counters(a().lb);
  EXPECT_GE(counted.latency_sum, std::chrono::milliseconds(30));
  std::uint64_t all = 0;
  std::uint64_t slow = 0;
  constexpr std::array<std::uint32_t, HP_LATENCY_BUCKET_COUNT - 1> kBounds = HP_LATENCY_BOUNDS_US;
  for (std::size_t i = 0; i < HP_LATENCY_BUCKET_COUNT; i++) {
    all += counted.latencies.at(i);
    slow += i > 0 && kBounds[i - 1] >= 25'000 ? counted.latencies.at(i) : 0;
  }
  EXPECT_EQ(all, 2);
  EXPECT_GE(slow, 1) << "30 ms are more than the bound of 25";
}

TEST_P(HandshakeFamilyTest, LateAnswerCompletesACountedMismatch) {
  hairpin_ip_target(a());
  ASSERT_EQ(events().size(), 1);
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.outcome, Outcome::kCompleted);
  EXPECT_EQ(counters(a().lb).mismatched, 1) << "counters never run backwards";
  EXPECT_EQ(counters(a().lb).answered, 0) << "one attempt, one result";
}

TEST_P(HandshakeFamilyTest, FastOpenSynAckAcknowledgesData) {
  see(Hook::kFromPod, "pod1", syn(a()).payload(100));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 40000, kIsn + 100));
  EXPECT_EQ(counters(a().lb).mismatched, 1);

  see(Hook::kFromPod, "pod1", syn(a(), 40001).payload(100));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 40001, kIsn + 100));
  see(Hook::kFromPod, "pod1", syn(a(), 40002).payload(100));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 40002, kIsn));
  EXPECT_EQ(counters(a().lb).answered, 2) << "data accepted or not";
}

// --- settle time --------------------------------------------------------------------------------------------

TEST_P(HandshakeFamilyTest, UnansweredAfterTheTimeout) {
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(sweep_after(std::chrono::seconds(2)), 1);
  EXPECT_EQ(counters(a().lb).unanswered, 0);
  EXPECT_EQ(sweep_after(std::chrono::seconds(4)), 0);
  EXPECT_EQ(counters(a().lb).unanswered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "silence alone is no mismatch";
  see(Hook::kFromPod, "pod1", syn(a()));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).syns, 1) << "a retransmit after the verdict is not a new attempt";
  EXPECT_EQ(counters(a().lb).unanswered, 1);
}

TEST_P(HandshakeFamilyTest, ReturnedAndNeverAnsweredIsAMismatch) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443));
  EXPECT_THAT(events(), ::testing::IsEmpty());
  sweep_after(std::chrono::seconds(4));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_TRUE(seen[0].attempt.responder.empty());
  EXPECT_EQ(counters(a().lb).mismatched, 1);
  EXPECT_EQ(counters(a().lb).unanswered, 0);
}

TEST_P(HandshakeFamilyTest, MismatchAfterTheTimeoutStillCounts) {
  see(Hook::kFromPod, "pod1", syn(a()));
  sweep_after(std::chrono::seconds(4));
  hairpin_ip_target(a());
  EXPECT_EQ(events().size(), 1);
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_HAIRPIN_IP_TARGET], 1);
  EXPECT_EQ(counters(a().lb).unanswered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "one attempt, one result: it was unanswered";
}

TEST_P(HandshakeFamilyTest, DecidedAttemptsAreForgottenInTheEnd) {
  hairpin_ip_target(a());
  sweep_after(std::chrono::seconds(100));
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1) << "the largest gap between retransmits is 64 s";
  sweep_after(std::chrono::seconds(140));
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(counters(a().lb).syns, 2);
}

// --- beside programs that come after these -------------------------------------------------------------------

// As where others' programs follow `to_pod` on the client's device.
class FollowedTest : public HandshakeFamilyTest {
 protected:
  void SetUp() override {
    HandshakeFamilyTest::SetUp();
    if (kernel) {
      kernel->datapath->set_answers_may_change(true);
    }
  }

  [[nodiscard]] PacketBuilder from_client(const char* to, std::uint16_t port, std::uint8_t flags) const {
    return PacketBuilder().from(a().p1, 40000).to(to, port).tcp(flags, kIsn + 1, 8);
  }
};
INSTANTIATE_TEST_SUITE_P(Families, FollowedTest, ::testing::Values(&kV4, &kV6),
                         [](const auto& parameter) { return parameter.param == &kV4 ? "ipv4" : "ipv6"; });

TEST_P(FollowedTest, AnAnswerThatIsTranslatedBackBehindUsIsLegitimate) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  see(Hook::kFromPod, "pod1", from_client(a().lb, 443, kAck));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(FollowedTest, TheSameFromAnotherNode) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  see(Hook::kFromPod, "pod1", from_client(a().lb, 443, kAck));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(total(HP_TOTAL_EVENTS), 0);
}

TEST_P(FollowedTest, TheClientsResetSaysWhoAnsweredIt) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "it may still be changed";
  see(Hook::kFromPod, "pod1", from_client(a().node, 30443, kRst));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().node), 30443}));
  EXPECT_EQ(seen[0].attempt.outcome, Outcome::kResetByClient);
}

TEST_P(FollowedTest, AReturnedSynAndAClientThatSaysNothingIsAMismatchAtTheNextSweep) {
  hairpin_ip_target(a());
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  sweep_after(std::chrono::milliseconds(200));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().p2), 8443}));
}

TEST_P(FollowedTest, WithoutOneTimeDecides) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  sweep_after(std::chrono::seconds(2));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  sweep_after(std::chrono::seconds(4));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kAsymmetricRemote);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().elsewhere), 8443}));
}

TEST_P(FollowedTest, OrCiliumsTable) {
  kernel->datapath->set_ask_conntrack(true);
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  sweep_after(std::chrono::milliseconds(500));
  const auto asked = events();
  ASSERT_EQ(asked.size(), 1);
  ASSERT_EQ(asked[0].kind, EventKind::kConntrack);
  EXPECT_TRUE(kernel->datapath->set_conntrack(asked[0].attempt,
                                              {.conntrack = Conntrack::kNoEntry, .source = ConntrackSource::kCilium}));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1) << "what it has not translated by now it never will";
  EXPECT_EQ(seen[0].attempt.cause, Cause::kAsymmetricRemote);
  EXPECT_EQ(seen[0].attempt.conntrack_source, ConntrackSource::kCilium);
}

// The node's SNAT comes after `to_net`: the alias is seen only when it comes back.
TEST_P(HandshakeFamilyTest, AnAliasBehindUsIsKnownByItsIsn) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToNet, "eth0", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().node, a().p2, 8443, 50000, kIsn + 1));
  see(Hook::kFromNet, "eth0", returned(a().elsewhere, a().p2, 8443, 50000));
  sweep_after(std::chrono::seconds(1));
  see(Hook::kFromNet, "eth0", returned(a().node, a().p2, 8443, 50000));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().node, 50000));
  sweep_after(std::chrono::seconds(4));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.client, (Endpoint{ip(a().p1), 40000}));
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().p2), 8443}));
}

TEST_P(HandshakeFamilyTest, SoAreTheLoadBalancersAnswersToIt) {
  const auto to_alias = [&](std::uint8_t flags, std::uint32_t isn) {
    return PacketBuilder().from(a().lb, 443).to(a().node, 50000).tcp(flags, 7, isn + 1);
  };
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", to_alias(kRst | kAck, kIsn));
  EXPECT_EQ(counters(a().lb).refused, 1);
  // A client on the node, whose port another has outside.
  see(Hook::kToNet, "eth0", PacketBuilder().from(a().node, 50001).to(a().lb, 443).tcp(kSyn, kIsn + 9));
  see(Hook::kFromNet, "eth0", to_alias(kSyn | kAck, kIsn + 9));
  EXPECT_EQ(counters(a().lb).answered, 1);
}

TEST_P(HandshakeFamilyTest, AnAnswerLostOnItsWayToThePodIsOneAttempt) {
  const auto ack = PacketBuilder().from(a().p1, 40000).to(a().lb, 443).tcp(kAck, kIsn + 1, 8);
  for (int i = 0; i < 3; i++) {
    see(Hook::kFromPod, "pod1", syn(a()));
    see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  }
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 2);
  EXPECT_EQ(counters(a().lb).answered, 1);
  see(Hook::kFromPod, "pod1", ack);
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(counters(a().lb).syns, 2) << "the acknowledged one is forgotten";
}

TEST_P(HandshakeFamilyTest, AnAnsweredPodThatStaysSilentIsForgottenAfterItsLastRetransmit) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sweep_after(std::chrono::seconds(2));
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(counters(a().lb).syns, 1);
  sweep_after(std::chrono::seconds(5));
  see(Hook::kFromPod, "pod1", syn(a()));
  EXPECT_EQ(counters(a().lb).syns, 2);
}

// --- the veto (S5) ------------------------------------------------------------------------------------------

TEST_P(HandshakeFamilyTest, TranslationByThisNodeIsLegitimate) {
  add_conntrack_entry({ip(a().p1), 41000}, {ip(a().lb), 443}, {ip(a().p2), 8443});
  see(Hook::kFromPod, "pod1", syn(a(), 41000));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 41000));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 41000));
  EXPECT_EQ(counters(a().lb).translations, 1) << "attempts, not packets";
  // Not even if the answer never gets to the client.
  sweep_after(std::chrono::seconds(10));
  see(Hook::kFromPod, "pod1", syn(a(), 41000));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_EQ(counters(a().lb).unanswered, 1);
  EXPECT_EQ(counters(a().lb).syns, 1) << "what was settled is still known";
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

// The node translated, and yet the client got the answer as the target sent it: two pods of a bridge.
TEST_P(HandshakeFamilyTest, ATranslationThatIsNotUndoneIsAMismatchOnThisNode) {
  add_conntrack_entry({ip(a().p1), 41003}, {ip(a().lb), 443}, {ip(a().p2), 8443});
  see(Hook::kFromPod, "pod1", syn(a(), 41003));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 41003));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 41003));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kLocalPod);
  EXPECT_EQ(seen[0].attempt.synack_left, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(seen[0].attempt.conntrack, Conntrack::kTranslated);
}

TEST_P(HandshakeFamilyTest, EntryWithoutTranslationDoesNotVeto) {
  // The client's own entry, and the one the hairpinned SYN makes, which matches the bad SYN-ACK.
  add_conntrack_entry({ip(a().p1), 41001}, {ip(a().lb), 443}, {ip(a().lb), 443});
  add_conntrack_entry({ip(a().p1), 41001}, {ip(a().p2), 8443}, {ip(a().p2), 8443});
  hairpin_ip_target(a(), 41001);
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.conntrack, Conntrack::kNotTranslated);
  EXPECT_EQ(seen[0].attempt.conntrack_source, ConntrackSource::kKernel);
}

TEST_P(HandshakeFamilyTest, TranslationToAnotherBackendDoesNotVeto) {
  add_conntrack_entry({ip(a().p1), 41002}, {ip(a().lb), 443}, {ip(a().elsewhere), 8443});
  hairpin_ip_target(a(), 41002);
  EXPECT_EQ(counters(a().lb).translations, 0);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

// --- the veto, asked for in userspace -----------------------------------------------------------------------

class ConntrackQuestionTest : public HandshakeFamilyTest {
 protected:
  static KernelFeatures without_kfunc() { return features().without(Feature::kConntrackKfunc); }

  void use_without_kfunc() {
    use(fresh_kernel_side(without_kfunc()));
    datapath->set_ask_conntrack(true);
  }

  // A SYN-ACK that nothing has been seen of since it left the target: suspicion, and no more.
  void suspect(std::uint16_t port = 40000, std::uint32_t isn = kIsn) {
    see(Hook::kFromPod, "pod1", syn(a(), port, isn));
    see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, port, isn));
  }

  // The one question that a sweep has put.
  Attempt question() const {
    const auto seen = events();
    EXPECT_EQ(seen.size(), 1);
    if (seen.size() != 1) {
      return {};
    }
    EXPECT_EQ(seen[0].kind, EventKind::kConntrack);
    return seen[0].attempt;
  }

  void answer(const Attempt& asked, Conntrack conntrack) const {
    EXPECT_TRUE(datapath->set_conntrack(asked, {.conntrack = conntrack, .source = ConntrackSource::kNetlink}));
  }
};
INSTANTIATE_TEST_SUITE_P(Families, ConntrackQuestionTest, ::testing::Values(&kV4, &kV6),
                         [](const auto& parameter) { return parameter.param == &kV4 ? "ipv4" : "ipv6"; });

TEST_P(ConntrackQuestionTest, TranslationIsLegitimateThoughTheKernelSideCannotTell) {
  use_without_kfunc();
  suspect();
  sweep_after(std::chrono::seconds(1));
  const Attempt asked = question();
  EXPECT_EQ(asked.client, (Endpoint{ip(a().p1), 40000}));
  EXPECT_EQ(asked.load_balancer, (Endpoint{ip(a().lb), 443}));
  EXPECT_EQ(asked.synack_left, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(asked.conntrack, Conntrack::kUnchecked);
  answer(asked, Conntrack::kTranslated);
  answer(asked, Conntrack::kTranslated);
  EXPECT_EQ(counters(a().lb).translations, 1) << "attempts, not answers";
  sweep_after(std::chrono::seconds(10));
  EXPECT_EQ(counters(a().lb).unanswered, 1) << "it never got to the client";
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(ConntrackQuestionTest, AnyOtherAnswerLeavesTheMismatchAndItsEvidence) {
  for (const Conntrack conntrack : {Conntrack::kNotTranslated, Conntrack::kNoEntry}) {
    use_without_kfunc();
    suspect();
    sweep_after(std::chrono::seconds(1));
    answer(question(), conntrack);
    sweep_after(std::chrono::seconds(2));
    EXPECT_THAT(events(), ::testing::IsEmpty()) << "asked once";
    sweep_after(std::chrono::seconds(4));
    const auto seen = events();
    ASSERT_EQ(seen.size(), 1);
    EXPECT_EQ(seen[0].kind, EventKind::kMismatch);
    EXPECT_EQ(seen[0].attempt.conntrack, conntrack);
    EXPECT_EQ(seen[0].attempt.conntrack_source, ConntrackSource::kNetlink);
    EXPECT_EQ(counters(a().lb).mismatched, 1);
    EXPECT_EQ(counters(a().lb).translations, 0);
  }
}

TEST_P(ConntrackQuestionTest, TheSweepThatAsksDoesNotConclude) {
  use_without_kfunc();
  suspect();
  EXPECT_EQ(sweep_after(std::chrono::seconds(4)), 1) << "the first sweep comes after the settle time";
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  answer(question(), Conntrack::kTranslated);
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_EQ(counters(a().lb).unanswered, 1) << "it never got to the client";
}

TEST_P(ConntrackQuestionTest, NoAnswerDelaysAVerdictByOneSweep) {
  use_without_kfunc();
  suspect();
  sweep_after(std::chrono::seconds(4));
  question();
  EXPECT_EQ(sweep_after(std::chrono::seconds(4)), 0);
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].kind, EventKind::kMismatch);
  EXPECT_EQ(seen[0].attempt.conntrack, Conntrack::kUnchecked);
  EXPECT_EQ(seen[0].attempt.conntrack_source, ConntrackSource::kNone);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

TEST_P(ConntrackQuestionTest, HandshakesOnTheirWayAreNotAskedAbout) {
  use_without_kfunc();
  see(Hook::kFromPod, "pod1", syn(a()));
  const MonotonicTime before = monotonic_now();
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  EXPECT_EQ(sweep_at(before + std::chrono::milliseconds(99)), 1);
  EXPECT_THAT(events(), ::testing::IsEmpty());
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sweep_after(std::chrono::seconds(1));
  EXPECT_EQ(total(HP_TOTAL_EVENTS), 0) << "healthy traffic costs no event";
}

TEST_P(ConntrackQuestionTest, OnlyWhatTheVetoCanStillClearIsAskedAbout) {
  use_without_kfunc();
  see(Hook::kFromPod, "pod1", syn(a(), 40000, 1));  // nothing has answered
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443, 40000, 1));
  hairpin_ip_target(a(), 40001, 2);  // conclusive
  EXPECT_EQ(events().size(), 1);
  sweep_after(std::chrono::seconds(1));
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(ConntrackQuestionTest, NobodyIsAskedWhereNobodyCanTell) {
  use_without_kfunc();
  datapath->set_ask_conntrack(false);
  suspect();
  sweep_after(std::chrono::seconds(1));
  EXPECT_THAT(events(), ::testing::IsEmpty());
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

// Cilium's own table beside netfilter's.
TEST_P(ConntrackQuestionTest, NoEntryInNetfilterIsNotTheLastWordWhereThereIsSomebodyToAsk) {
  datapath->set_ask_conntrack(true);
  suspect();
  sweep_after(std::chrono::seconds(1));
  const Attempt asked = question();
  EXPECT_EQ(asked.conntrack, Conntrack::kNoEntry);
  EXPECT_EQ(asked.conntrack_source, ConntrackSource::kKernel);
  EXPECT_TRUE(
      datapath->set_conntrack(asked, {.conntrack = Conntrack::kTranslated, .source = ConntrackSource::kCilium}));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
}

TEST_P(ConntrackQuestionTest, AnEntryInNetfilterIsTheLastWord) {
  datapath->set_ask_conntrack(true);
  add_conntrack_entry({ip(a().p1), 41100}, {ip(a().lb), 443}, {ip(a().lb), 443});
  suspect(41100, 1);
  add_conntrack_entry({ip(a().p1), 41101}, {ip(a().lb), 443}, {ip(a().p2), 8443});
  suspect(41101, 2);
  sweep_after(std::chrono::seconds(1));
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(ConntrackQuestionTest, AnswersThatComeTooLateOrForAnotherResponderAreIgnored) {
  use_without_kfunc();
  suspect();
  sweep_after(std::chrono::seconds(1));
  const Attempt asked = question();
  Attempt other = asked;
  other.synack_left.port++;
  answer(other, Conntrack::kTranslated);
  other = asked;
  other.isn++;
  answer(other, Conntrack::kTranslated);
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  answer(asked, Conntrack::kTranslated);
  EXPECT_EQ(counters(a().lb).translations, 0);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

TEST_P(ConntrackQuestionTest, WhatFindsNoRoomInTheRingIsAskedAgain) {
  constexpr std::uint16_t kAttempts = 40;
  load({.ring_bytes = 4096}, without_kfunc());
  datapath->set_ask_conntrack(true);
  for (std::uint16_t i = 0; i < kAttempts; i++) {
    suspect(static_cast<std::uint16_t>(40000 + i), i);
  }
  std::set<std::uint16_t> asked;
  // Past the settle time, too, nothing is concluded that has not been asked about.
  for (int sweep = 0; sweep < 4; sweep++) {
    EXPECT_EQ(sweep_after(std::chrono::seconds(4)), kAttempts - asked.size());
    const auto seen = events();
    EXPECT_LT(seen.size(), kAttempts);
    for (const Event& event : seen) {
      EXPECT_TRUE(asked.insert(event.attempt.client.port).second) << "asked twice";
      answer(event.attempt, Conntrack::kTranslated);
    }
  }
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(asked.size(), kAttempts);
  EXPECT_EQ(counters(a().lb).unanswered, kAttempts);
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_EQ(total(HP_TOTAL_RING_FULL), 0) << "no sample was lost";
}

TEST_P(ConntrackQuestionTest, ARingThatNobodyReadsDelaysAVerdictNoLongerThanASecondSettleTime) {
  constexpr std::uint16_t kAttempts = 40;
  load({.ring_bytes = 4096}, without_kfunc());
  datapath->set_ask_conntrack(true);
  for (std::uint16_t i = 0; i < kAttempts; i++) {
    suspect(static_cast<std::uint16_t>(40000 + i), i);
  }
  EXPECT_EQ(sweep_after(std::chrono::seconds(4)), kAttempts);
  EXPECT_EQ(sweep_after(std::chrono::seconds(20)), 0);
  EXPECT_EQ(counters(a().lb).mismatched, kAttempts);
}

// --- names the node's SNAT gives, and clients on the node itself --------------------------------------------

TEST_P(HandshakeFamilyTest, SnatAliasIsTheSameAttempt) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToNet, "eth0", PacketBuilder().from(a().node, 50000).to(a().lb, 443).tcp(kSyn, kIsn));
  see(Hook::kFromNet, "eth0", returned(a().node, a().p2, 8443, 50000));
  EXPECT_EQ(counters(a().lb).syns, 1);
  sweep_after(std::chrono::seconds(4));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.client, (Endpoint{ip(a().p1), 40000})) << "the pod, not the address it hides behind";
  EXPECT_EQ(seen[0].attempt.returned, (Endpoint{ip(a().p2), 8443}));
}

TEST_P(HandshakeFamilyTest, HostClient) {
  const auto host_syn = [&](std::uint16_t port) {
    return PacketBuilder().from(a().node, port).to(a().lb, 443).tcp(kSyn, kIsn);
  };
  see(Hook::kToNet, "eth0", host_syn(50001));
  see(Hook::kToNet, "eth0", host_syn(50001));
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).syn_retransmits, 1);
  see(Hook::kFromNet, "eth0", synack(a().lb, 443, a().node, 50001));
  EXPECT_EQ(counters(a().lb).answered, 1);

  see(Hook::kToNet, "eth0", host_syn(50002));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().node, 50002));
  EXPECT_EQ(counters(a().lb).mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], 1);

  see(Hook::kToNet, "eth0", PacketBuilder().from(a().elsewhere, 50003).to(a().lb, 443).tcp(kSyn, kIsn));
  EXPECT_EQ(counters(a().lb).syns, 2) << "forwarded for somebody else";
}

// --- forged sources -----------------------------------------------------------------------------------------

TEST_P(HandshakeFamilyTest, ForgedSourceIsCountedNotRecorded) {
  see(Hook::kFromPod, "pod2", syn(a()));  // pod2 claims to be P1, which routes say is on pod1
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1);
  see(Hook::kFromPod, "pod2", PacketBuilder().from(a().node, 40000).to(a().lb, 443).tcp(kSyn, kIsn));
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 2) << "the node's own address";
  see(Hook::kFromPod, "pod2", PacketBuilder().from(a().elsewhere, 40000).to(a().lb, 443).tcp(kSyn, kIsn));
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 2) << "an address beyond the uplink: nobody's that the node knows";
  EXPECT_EQ(counters(a().lb).syns, 1) << "kept, and believed only of what comes back from there";
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
}

TEST_F(HandshakeTest, ForgedSourceOnABridgeIsKnownByItsMac) {
  const auto from_bridge = [](std::uint8_t mac, std::uint32_t isn) {
    return PacketBuilder().from("10.0.3.10", 40000).to(kV4.lb, 443).tcp(kSyn, isn).source_mac(mac);
  };
  see(Hook::kFromPod, "br1", from_bridge(0x11, 1));
  EXPECT_EQ(counters(kV4.lb).syns, 1);
  see(Hook::kFromPod, "br2", from_bridge(0x12, 2));
  EXPECT_EQ(counters(kV4.lb).syns, 1);
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1);
}

TEST_F(HandshakeTest, PodAddressMovesToANewDevice) {
  see(Hook::kFromPod, "pod1", syn(kV4, 40000, 1));
  ASSERT_EQ(std::system("ip route replace 10.0.1.10 dev pod2"), 0);
  see(Hook::kFromPod, "pod2", syn(kV4, 40001, 2));
  ASSERT_EQ(std::system("ip route replace 10.0.1.10 dev pod1"), 0);
  EXPECT_EQ(counters(kV4.lb).syns, 2);
  EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 0);
}

// --- load balancers that come and go ------------------------------------------------------------------------

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

// --- bounds -------------------------------------------------------------------------------------------------

TEST_F(HandshakeTest, AFullTableTakesNewAttemptsInPlaceOfOldOnes) {
  load({.pending_syns = 64});
  constexpr std::uint16_t kAttempts = 1000;
  for (std::uint16_t i = 0; i < kAttempts; i++) {
    const auto port = static_cast<std::uint16_t>(1000 + i);
    see(Hook::kFromPod, "pod1", syn(kV4, port, i));
    see(Hook::kFromPod, "pod1", syn(kV4, port, i));
  }
  EXPECT_EQ(counters(kV4.lb).syns, kAttempts);
  EXPECT_EQ(counters(kV4.lb).syn_retransmits, kAttempts) << "the newest is there";
  for (std::uint16_t i = 0; i < kAttempts; i++) {
    see(Hook::kToPod, "pod1", synack(kV4.lb, 443, kV4.p1, static_cast<std::uint16_t>(1000 + i), i));
  }
  EXPECT_GE(counters(kV4.lb).answered, 32);
  EXPECT_LE(counters(kV4.lb).answered, 64);
  EXPECT_EQ(total(HP_TOTAL_PENDING_FAILED), 0);
}

TEST_F(HandshakeTest, DecidedAttemptsGoFirst) {
  load({.pending_syns = 4});
  see(Hook::kFromPod, "pod1", syn(kV4, 1000, 1000));
  for (const std::uint16_t decided : std::to_array<std::uint16_t>({1001, 1002, 1003})) {
    hairpin_ip_target(kV4, decided, decided);
  }
  for (const std::uint16_t fresh : std::to_array<std::uint16_t>({1004, 1005, 1006})) {
    see(Hook::kFromPod, "pod1", syn(kV4, fresh, fresh));
  }
  for (const std::uint16_t undecided : std::to_array<std::uint16_t>({1000, 1004, 1005, 1006})) {
    see(Hook::kToPod, "pod1", synack(kV4.lb, 443, kV4.p1, undecided, undecided));
  }
  EXPECT_EQ(counters(kV4.lb).answered, 4);
  EXPECT_EQ(counters(kV4.lb).mismatched, 3);
}

TEST_F(HandshakeTest, AnswersMakeRoom) {
  load({.pending_syns = 2});
  constexpr std::uint16_t kAttempts = 100;
  see(Hook::kFromPod, "pod1", syn(kV4, 999, 999));
  for (std::uint16_t port = 1000; port < 1000 + kAttempts; port++) {
    see(Hook::kFromPod, "pod1", syn(kV4, port, port));
    see(Hook::kToPod, "pod1", synack(kV4.lb, 443, kV4.p1, port, port));
  }
  see(Hook::kToPod, "pod1", synack(kV4.lb, 443, kV4.p1, 999, 999));
  EXPECT_EQ(counters(kV4.lb).answered, kAttempts + 1) << "the first was never given up for another";
}

// As little as the option allows.
TEST_F(HandshakeTest, OnePlaceIsEnoughForOneAttemptAfterTheOther) {
  load({.pending_syns = 1});
  for (const std::uint16_t port : std::to_array<std::uint16_t>({1000, 1001, 1002})) {
    hairpin_ip_target(kV4, port, port);
  }
  EXPECT_EQ(counters(kV4.lb).mismatched, 3);
  EXPECT_EQ(total(HP_TOTAL_PENDING_FAILED), 0);
}

TEST_F(HandshakeTest, CountsStayExactWhenTheRingIsFull) {
  load({.ring_bytes = 4096});
  constexpr std::uint16_t kPairs = 100;
  for (std::uint16_t pair = 0; pair < kPairs; pair++) {
    for (std::uint16_t i = 0; i < 3; i++) {
      const auto port = static_cast<std::uint16_t>(1000 + pair * 3 + i);
      see(Hook::kFromPod, "pod1", syn(kV4, port, port));
      see(Hook::kToPod, "pod1", synack(kV4.elsewhere, static_cast<std::uint16_t>(20000 + pair), kV4.p1, port, port));
    }
  }
  EXPECT_EQ(counters(kV4.lb).mismatched, kPairs * 3);
  EXPECT_GT(total(HP_TOTAL_RING_FULL), 0);
  EXPECT_LE(total(HP_TOTAL_RING_FULL), kPairs) << "one sample a second and pair, lost or not";
  const auto incidents = counts->read_incidents();
  ASSERT_EQ(incidents->size(), kPairs);
  for (const IncidentCount& incident : *incidents) {
    EXPECT_EQ(incident.count, 3);
    EXPECT_EQ(incident.sample.load_balancer, (Endpoint{ip(kV4.lb), 443})) << "an alert can be made without the ring";
  }
}

TEST_F(HandshakeTest, MismatchesBeyondTheIncidentsAreCountedByCause) {
  constexpr std::uint32_t kPairs = 9000;  // of 8192 incidents
  for (std::uint32_t pair = 0; pair < kPairs; pair++) {
    const auto port = static_cast<std::uint16_t>(1000 + pair);
    see(Hook::kFromPod, "pod1", syn(kV4, port, pair));
    see(Hook::kToPod, "pod1", synack(kV4.elsewhere, port, kV4.p1, port, pair));
  }
  const auto incidents = counts->read_incidents();
  ASSERT_TRUE(incidents);
  const std::uint64_t unpaired = counters(kV4.lb).unpaired[HP_CAUSE_ASYMMETRIC_REMOTE];
  EXPECT_GT(unpaired, 0);
  EXPECT_EQ(incidents->size() + unpaired, kPairs);
  EXPECT_EQ(counters(kV4.lb).mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], kPairs);
  EXPECT_EQ(total(HP_TOTAL_INCIDENTS_FULL), unpaired);
}

TEST_F(HandshakeTest, LoadBalancersBeyondTheTableAreCountedTogether) {
  load({.prefixes = true});
  ASSERT_TRUE(set_frontends({Frontend{.address = ip("10.128.0.0"), .prefix_length = 96 + 9}}));
  constexpr std::uint32_t kMany = 1500;
  for (std::uint32_t i = 0; i < kMany; i++) {
    const std::string lb = "10.128." + std::to_string(i / 256) + "." + std::to_string(i % 256);
    see(Hook::kFromPod, "pod1", PacketBuilder().from(kV4.p1, 40000).to(lb, 443).tcp(kSyn, i));
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
