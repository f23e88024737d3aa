// SPDX-License-Identifier: Apache-2.0
// Whose an address is, and what a pod that lies about it can make hairpind say: nothing. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bpf_runner.hpp"
#include "hairpind/bpf/kernel_side.hpp"
#include "node_test.hpp"
#include "packet_builder.hpp"
#include "shared_kernel_side.hpp"

namespace hairpind::testing {
namespace {

constexpr int kNext = -1;
constexpr std::uint32_t kIsn = 0x50607080;
constexpr std::uint16_t kPort = 40000;

// P1 is on pod1 and P2 on pod2, by route. UNTOLD is a pod's, and its route leads to a device that is no pod's (Cilium's
// cilium_host); so is BRIDGED's, who is a port of a bridge, and whose neighbour's address ends in 0x11. ELSEWHERE is
// beyond the uplink.
struct Addresses {
  const char* p1;
  const char* p2;
  const char* untold;
  const char* bridged;
  const char* other_bridged;
  const char* lb;
  const char* node;
  const char* elsewhere;
};
constexpr Addresses kV4{"10.0.1.10", "10.0.1.20", "10.0.7.7", "10.0.3.10",
                        "10.0.3.20", "10.0.5.5",  "10.0.0.4", "10.0.9.9"};
constexpr Addresses kV6{"fd00:1::10", "fd00:1::20", "fd00:7::7", "fd00:3::10",
                        "fd00:3::20", "fd00:5::5",  "fd00::4",   "fd00:9::9"};

class AddressOwnerTest : public NodeTest, public ::testing::WithParamInterface<const Addresses*> {
 protected:
  static void SetUpTestSuite() {
    NodeTest::SetUpTestSuite();
    if (why_not().empty() && std::system(R"(set -e
        ip route add 10.0.7.0/24 dev eth0-peer
        ip route add fd00:7::/64 dev eth0-peer
        ip addr add fd00:3::1/64 dev cni0 nodad
        ip neigh replace fd00:3::10 lladdr 02:00:00:00:00:11 dev cni0
        ip neigh replace fd00:3::20 lladdr 02:00:00:00:00:12 dev cni0)") != 0) {
      why_not() = "cannot add routes to the namespace";
    }
  }

  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    // Test packets end in kfree_skb, which the tracepoint would take for the kernel dropping them.
    kernel =
        &fresh_kernel_side(KernelFeatures::probe().without(Feature::kDropReasons).without(Feature::kResetTracepoint));
    const std::vector<Frontend> watched{{.address = ip(kV4.lb), .port = 443}, {.address = ip(kV6.lb), .port = 443}};
    ASSERT_TRUE(kernel->frontends.change(watched, {}).frontends.empty());
    ASSERT_TRUE(kernel->attachments.set_node_addresses({ip(kV4.node), ip(kV6.node)}));
    ASSERT_TRUE(kernel->owners.set({}));
    attach_devices(*kernel);
  }

  const Addresses& a() const { return *GetParam(); }

  void see(Hook hook, const std::string& device, const PacketBuilder& packet, const std::string& from = "") const {
    see_frame(hook, device, packet.build(), from);
  }
  void see_frame(Hook hook, const std::string& device, const std::vector<std::uint8_t>& frame,
                 const std::string& from = "") const {
    const RunResult result =
        run_program(kernel->programs->fd(hook), frame, ifindex_of(device), 1, from.empty() ? 0 : ifindex_of(from));
    EXPECT_EQ(result.verdict, kNext);
    EXPECT_TRUE(result.unchanged);
  }

  PacketBuilder syn(const char* client, std::uint32_t isn = kIsn) const {
    return PacketBuilder().from(client, kPort).to(a().lb, 443).tcp(kSyn, isn);
  }
  static PacketBuilder synack(const char* source, const char* client, std::uint32_t isn = kIsn,
                              std::uint16_t port = 8443) {
    return PacketBuilder().from(source, port).to(client, kPort).tcp(kSyn | kAck, 7, isn + 1);
  }
  static PacketBuilder returned(const char* client, const char* target, std::uint32_t isn = kIsn,
                                std::uint16_t port = 8443) {
    return PacketBuilder().from(client, kPort).to(target, port).tcp(kSyn, isn);
  }
  static PacketBuilder reset(const char* client, const char* responder, std::uint32_t isn = kIsn,
                             std::uint16_t port = 8443) {
    return PacketBuilder().from(client, kPort).to(responder, port).tcp(kRst, isn + 1);
  }

  // A SYN, the wrong answer as it leaves `target`'s device, and the client's RST; nobody brings the answer to where the
  // node does not think that the client is.
  void refused(const char* client, const char* device, const char* target, const char* target_device,
               std::uint32_t isn = kIsn) const {
    see(Hook::kFromPod, device, syn(client, isn));
    see(Hook::kFromPod, target_device, synack(target, client, isn));
    see(Hook::kFromPod, device, reset(client, target, isn));
  }

  LoadBalancerCounters counters() const {
    const auto all = kernel->counters->read_load_balancers();
    EXPECT_TRUE(all);
    for (const LoadBalancerCounters& counted : *all) {
      if (counted.load_balancer == Endpoint{.address = ip(a().lb), .port = 443}) {
        return counted;
      }
    }
    return {};
  }
  std::uint64_t spoofed() const { return kernel->counters->read_totals().at(HP_TOTAL_SPOOFED_SOURCES); }

  void settle() const {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    EXPECT_TRUE(kernel->settler.sweep(std::chrono::duration_cast<SinceBoot>(now) + std::chrono::seconds(4)));
  }

  std::vector<Event> events() const {
    std::vector<Event> result;
    const auto polled = kernel->ring.poll([&](const Event& event) { result.push_back(event); });
    EXPECT_TRUE(polled) << polled.error().message;
    return result;
  }

  KernelSide* kernel = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Families, AddressOwnerTest, ::testing::Values(&kV4, &kV6),
                         [](const auto& family) { return family.param == &kV4 ? "IPv4" : "IPv6"; });

// --- whose an address is ------------------------------------------------------------------------------------

TEST_P(AddressOwnerTest, ARouteToTheUplinkIsNoProofOfForgery) {
  refused(a().elsewhere, "pod2", a().p1, "pod1");
  EXPECT_EQ(spoofed(), 0);
  EXPECT_EQ(counters().syns, 1);
  settle();
  EXPECT_EQ(counters().mismatched, 0) << "nor is it proof of the contrary";
  EXPECT_EQ(counters().unanswered, 1);
}

TEST_P(AddressOwnerTest, WhatIsNotKnownIsBelievedOfWhatCameBackFromTheNetwork) {
  see(Hook::kFromPod, "pod2", syn(a().untold));
  see(Hook::kFromNet, "eth0", returned(a().untold, a().p1));
  see(Hook::kFromPod, "pod1", synack(a().p1, a().untold));
  see(Hook::kFromPod, "pod2", reset(a().untold, a().p1));
  EXPECT_EQ(counters().mismatches[HP_CAUSE_HAIRPIN_IP_TARGET], 1);
}

TEST_P(AddressOwnerTest, WhoSpeaksFirstOwnsNothing) {
  see(Hook::kFromPod, "pod2", syn(a().untold, 1));  // it is pod1's
  see(Hook::kFromPod, "pod1", syn(a().untold, 2));
  EXPECT_EQ(spoofed(), 0);
  EXPECT_EQ(counters().syns, 2);
  see(Hook::kFromNet, "eth0", returned(a().untold, a().p2, 2));
  see(Hook::kFromPod, "pod2", synack(a().p2, a().untold, 2));
  see(Hook::kToPod, "pod1", synack(a().p2, a().untold, 2), "pod2");
  EXPECT_EQ(counters().mismatched, 1) << "the one whose address it is, is heard";
}

TEST_P(AddressOwnerTest, CiliumsEndpointsSay) {
  ASSERT_TRUE(kernel->owners.set({{ip(a().untold), ifindex_of("pod1")}}));
  see(Hook::kFromPod, "pod2", syn(a().untold, 1));
  EXPECT_EQ(spoofed(), 1);
  EXPECT_EQ(counters().syns, 0);
  EXPECT_EQ(kernel->variables.spoofing_device(), ifindex_of("pod2"));
  refused(a().untold, "pod1", a().p2, "pod2", 2);
  EXPECT_EQ(spoofed(), 1);
  EXPECT_EQ(counters().mismatched, 1) << "known to be its own: its word and its device's do";
}

TEST_P(AddressOwnerTest, CiliumsEndpointsSayItEvenAfterwards) {
  see(Hook::kFromPod, "pod1", syn(a().untold, 1));
  ASSERT_TRUE(kernel->owners.set({{ip(a().untold), ifindex_of("pod1")}}));
  // Asked again a second later at the most.
  for (std::uint32_t isn = 2; isn < 30 && counters().mismatched == 0; isn++) {
    refused(a().untold, "pod1", a().p2, "pod2", isn);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(counters().mismatched, 1);
}

TEST_P(AddressOwnerTest, WithADeviceThatIsGoneTheySayNothing) {
  ASSERT_TRUE(kernel->owners.set({{ip(a().untold), 9999}}));
  see(Hook::kFromPod, "pod1", syn(a().untold));
  EXPECT_EQ(spoofed(), 0) << "the address has a new pod, and Cilium has not told yet";
  EXPECT_EQ(counters().syns, 1);
}

TEST_P(AddressOwnerTest, TheApiServerDoesNotSayByWhichDeviceAPodIs) {
  ASSERT_TRUE(kernel->owners.set({{ip(a().untold), 0}}));
  refused(a().untold, "pod1", a().p2, "pod2");
  settle();
  EXPECT_EQ(spoofed(), 0);
  EXPECT_EQ(counters().mismatched, 0);
}

TEST_P(AddressOwnerTest, AFloodOfAddressesMakesNoForgedOneBelieved) {
  see(Hook::kFromPod, "pod1", syn(a().p1, 1));
  const std::string subnet = a().elsewhere == std::string(kV4.elsewhere) ? "10.9." : "fd00:9:";
  for (int i = 0; i < 12000; i++) {
    const std::string address = subnet.starts_with("fd")
                                    ? subnet + std::to_string(i % 10000) + "::" + std::to_string(i / 10000 + 1)
                                    : subnet + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
    see(Hook::kFromPod, "pod2", syn(address.c_str(), 2));
  }
  EXPECT_EQ(spoofed(), 0);
  const std::uint64_t syns = counters().syns;
  refused(a().p1, "pod2", a().elsewhere, "pod2", 3);
  EXPECT_GE(spoofed(), 1) << "P1's route leads to pod1";
  EXPECT_EQ(counters().syns, syns);
  refused(a().untold, "pod2", a().p1, "pod1", 4);
  EXPECT_EQ(counters().mismatched, 0);
  see(Hook::kFromPod, "pod1", syn(a().p1, 5));
  EXPECT_EQ(counters().syns, syns + 2) << "and the real one is none of the forgers";
}

TEST_P(AddressOwnerTest, OnABridgeTheVictimsOwnMacProvesNothing) {
  see(Hook::kFromPod, "br2", syn(a().bridged, 2).source_mac(0x12));
  EXPECT_EQ(spoofed(), 1) << "another's MAC proves that it is another";
  see(Hook::kFromPod, "br2", syn(a().bridged, 1).source_mac(0x11));
  see(Hook::kFromPod, "br1", synack(a().other_bridged, a().bridged, 1).source_mac(0x12));
  see(Hook::kToPod, "br2", synack(a().other_bridged, a().bridged, 1).source_mac(0x12), "br1");
  see(Hook::kFromPod, "br2", reset(a().bridged, a().other_bridged, 1).source_mac(0x11));
  settle();
  EXPECT_EQ(counters().mismatched, 0);
  EXPECT_EQ(spoofed(), 1);
}

TEST_P(AddressOwnerTest, OnABridgeWhatTheNodeTranslatedIsBelieved) {
  if (!KernelFeatures::probe().has(Feature::kConntrackKfunc)) {
    GTEST_SKIP() << "this kernel's programs cannot ask conntrack";
  }
  add_conntrack_entry({ip(a().bridged), kPort}, {ip(a().lb), 443}, {ip(a().other_bridged), 8443});
  see(Hook::kFromPod, "br1", syn(a().bridged).source_mac(0x11));
  see(Hook::kFromPod, "br2", synack(a().other_bridged, a().bridged).source_mac(0x12));
  see(Hook::kToPod, "br1", synack(a().other_bridged, a().bridged).source_mac(0x12), "br2");
  EXPECT_EQ(counters().mismatched, 1);
}

// --- a pod that answers itself in another's name ------------------------------------------------------------

// The names a pod may use; each says who sends it, and by which device the node has it.
struct Liar {
  const char* name;
  const char* Addresses::* source;
  const char* from_pod;  ///< nullptr: past that hook
  const char* ingress;   ///< "": not told, as where a netkit peer's program redirects
};
constexpr Liar kLiars[] = {
    {"itself, as another pod", &Addresses::p2, "pod1", "pod1"},
    {"itself, as another pod, unseen", &Addresses::p2, nullptr, "pod1"},
    {"itself, as another pod, by netkit", &Addresses::p2, "pod1", ""},
    {"itself, as the node", &Addresses::node, "pod1", "pod1"},
    {"itself, as one elsewhere", &Addresses::elsewhere, "pod1", "pod1"},
    {"itself, as one elsewhere, by netkit", &Addresses::elsewhere, "pod1", ""},
    {"itself, as one of whom nobody tells", &Addresses::untold, "pod1", "pod1"},
    {"a friend, as another pod", &Addresses::p2, "br1", "br1"},
    {"a friend, as one elsewhere", &Addresses::elsewhere, "br1", "br1"},
    {"a friend, as another port of its bridge", &Addresses::bridged, "br2", "cni0"},
};

TEST_P(AddressOwnerTest, ALiarNamesNobody) {
  std::uint32_t isn = kIsn;
  for (const Liar& liar : kLiars) {
    isn += 1000;
    const char* const source = a().*liar.source;
    see(Hook::kFromPod, "pod1", syn(a().p1, isn));
    if (liar.from_pod != nullptr) {
      see(Hook::kFromPod, liar.from_pod, synack(source, a().p1, isn).source_mac(0x11));
    }
    see(Hook::kToPod, "pod1", synack(source, a().p1, isn), liar.ingress);
    see(Hook::kFromPod, "pod1", reset(a().p1, source, isn));
    settle();
    EXPECT_EQ(counters().mismatched, 0) << liar.name;
    EXPECT_TRUE(events().empty()) << liar.name;
  }
  EXPECT_EQ(counters().unanswered, std::size(kLiars));
}

TEST_P(AddressOwnerTest, APortOfTheClientsBridgeNamesNobodyByWayOfTheNode) {
  ASSERT_TRUE(kernel->owners.set({{ip(a().bridged), ifindex_of("br1")}}));
  see(Hook::kFromPod, "br1", syn(a().bridged));
  see(Hook::kToPod, "br1", synack(a().elsewhere, a().bridged), "cni0");
  see(Hook::kFromPod, "br1", reset(a().bridged, a().elsewhere));
  settle();
  EXPECT_EQ(counters().mismatched, 0);
}

TEST_P(AddressOwnerTest, TheTruthIsBelieved) {
  see(Hook::kFromPod, "pod1", syn(a().p1, 1));
  see(Hook::kFromPod, "pod2", synack(a().p2, a().p1, 1));
  see(Hook::kToPod, "pod1", synack(a().p2, a().p1, 1), "pod2");
  EXPECT_EQ(counters().mismatches[HP_CAUSE_HAIRPIN_IP_TARGET], 1);
  see(Hook::kFromPod, "pod1", syn(a().p1, 2));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, a().p1, 2));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, a().p1, 2), "eth0");
  EXPECT_EQ(counters().mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], 1);
  see(Hook::kFromPod, "pod1", syn(a().p1, 3));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, a().p1, 3), "eth0-peer");
  EXPECT_EQ(counters().mismatches[HP_CAUSE_ASYMMETRIC_REMOTE], 2) << "by a tunnel, say";
  see(Hook::kFromPod, "pod1", syn(a().p1, 4));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 4));
  see(Hook::kToPod, "pod1", synack(a().node, a().p1, 4));
  EXPECT_EQ(counters().mismatches[HP_CAUSE_HAIRPIN_HOST_TARGET], 1);
  EXPECT_EQ(spoofed(), 0);
}

// --- addresses that are none --------------------------------------------------------------------------------

std::vector<std::uint8_t> mapped(std::vector<std::uint8_t> frame, bool source, const char* v4) {
  constexpr std::size_t kSource = 14 + 8;
  const IpAddress address = ip(v4);  // kept IPv4-mapped
  std::ranges::copy(address.bytes, frame.begin() + kSource + (source ? 0 : 16));
  return frame;
}

class MappedAddressTest : public AddressOwnerTest {};

INSTANTIATE_TEST_SUITE_P(Families, MappedAddressTest, ::testing::Values(&kV4));

TEST_P(MappedAddressTest, IsNotTheIpv4AddressOfThatName) {
  const auto from_pod1 = [](std::uint32_t isn) {
    return PacketBuilder().from(kV6.p1, kPort).to(kV6.lb, 443).tcp(kSyn, isn);
  };
  const std::vector<std::vector<std::uint8_t>> frames{
      mapped(mapped(from_pod1(1).build(), true, kV4.p2), false, kV4.lb),
      mapped(mapped(from_pod1(2).extension_header(0).build(), true, kV4.p2), false, kV4.lb),
      mapped(from_pod1(4).build(), true, kV4.p2),
      mapped(from_pod1(5).build(), false, kV4.lb),
      mapped(from_pod1(6).extension_header(60).build(), false, kV4.lb),
  };
  for (const auto& frame : frames) {
    see_frame(Hook::kFromPod, "pod1", frame);
  }
  EXPECT_EQ(counters().syns, 0);
  EXPECT_EQ(spoofed(), frames.size());
}

TEST_P(MappedAddressTest, BringsNobodysSynBack) {
  see(Hook::kFromPod, "pod1", syn(a().p1));
  see_frame(Hook::kFromNet, "eth0",
            mapped(mapped(PacketBuilder().from(kV6.p1, kPort).to(kV6.p2, 8443).tcp(kSyn, kIsn).build(), true, a().p1),
                   false, a().p2));
  settle();
  EXPECT_EQ(counters().mismatched, 0);
  EXPECT_EQ(counters().unanswered, 1);
}

// --- where a responder is said to be ------------------------------------------------------------------------

struct Place {
  const char* name;
  const char* Addresses::* target;
  const char* target_device;  ///< nullptr: the answer comes in from the network
  bool api_has_it;
  ResponderKind kind;
};
constexpr Place kPlaces[] = {
    {"an address that is nowhere", &Addresses::elsewhere, nullptr, false, ResponderKind::kRemote},
    {"a pod's, by its route", &Addresses::p2, nullptr, false, ResponderKind::kLocalPod},
    {"a pod's, by its device", &Addresses::untold, "pod2", false, ResponderKind::kLocalPod},
    {"a pod's, by the API server", &Addresses::untold, nullptr, true, ResponderKind::kLocalPod},
    {"nobody tells", &Addresses::untold, nullptr, false, ResponderKind::kRemote},
    {"the node's", &Addresses::node, nullptr, false, ResponderKind::kNode},
};

TEST_P(AddressOwnerTest, OnTheSameNodeIsSaidOnlyOfWhatIsPlacedThere) {
  std::uint32_t isn = kIsn;
  for (const bool solicited : {false, true}) {
    for (const Place& place : kPlaces) {
      isn += 1000;
      const auto port = static_cast<std::uint16_t>(8000 + isn / 1000 % 100);  // one event a second and responder
      const char* const target = a().*place.target;
      ASSERT_TRUE(kernel->owners.set({}));
      if (place.api_has_it) {
        ASSERT_TRUE(kernel->owners.set({{ip(target), 0}}));
      }
      // It has called a load balancer: then whoever sends a SYN in its name may be one.
      see(Hook::kFromPod, "pod1", syn(a().p1, isn));
      if (!solicited) {
        see(Hook::kToPod, "pod1", synack(a().lb, a().p1, isn, 443));
        isn++;
      }
      see(Hook::kFromNet, "eth0", returned(a().p1, target, isn, port));
      if (place.target_device != nullptr) {
        see(Hook::kFromPod, place.target_device, synack(target, a().p1, isn, port));
      } else {
        see(Hook::kFromNet, "eth0", synack(target, a().p1, isn, port));
      }
      see(Hook::kFromPod, "pod1", reset(a().p1, target, isn, port));
      std::optional<Attempt> told;
      for (const Event& event : events()) {
        if (event.attempt.isn == isn) {
          told = event.attempt;
        }
      }
      // What the network begins by itself is believed only of who was seen to answer here, and of the node: it can send
      // the SYN and the answer in anybody's name.
      const bool is_believed = solicited || place.target_device != nullptr || place.kind == ResponderKind::kNode;
      ASSERT_EQ(told.has_value(), is_believed) << place.name << ", solicited " << solicited;
      if (!told) {
        continue;
      }
      EXPECT_EQ(told->responder_kind, place.kind) << place.name << ", solicited " << solicited;
    }
  }
}

}  // namespace
}  // namespace hairpind::testing
