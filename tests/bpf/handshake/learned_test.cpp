// SPDX-License-Identifier: Apache-2.0
// S0: load balancers that nobody has named (bpf/noted_syns.h, bpf/learn.h).
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

constexpr std::uint16_t kPort = 40000;
constexpr std::uint32_t kNotes = 4096;
constexpr std::size_t kNoteBytes = 64;

// Nobody has named `unnamed`; it sends what is for it to P2.
class LearnedTest : public HandshakeFamilyTest {
 protected:
  [[nodiscard]] const char* unnamed() const { return GetParam() == &kV4 ? "10.0.7.7" : "fd00:7::7"; }
  [[nodiscard]] PacketBuilder call(const char* client, std::uint32_t isn = kIsn) const {
    return PacketBuilder().from(client, kPort).to(unnamed(), 443).tcp(kSyn, isn);
  }
  [[nodiscard]] PacketBuilder back(const char* source, std::uint16_t port = kPort, std::uint32_t isn = kIsn) const {
    return returned(source, a().p2, 8443, port, isn);
  }
  // As if the node had it from another device.
  void forward(const PacketBuilder& packet, const std::string& from) const {
    run_program(kernel->programs->fd(Hook::kToNet), packet.build(), ifindex_of("eth0"), 1, ifindex_of(from));
  }
  void leave(const char* client) const {
    see(Hook::kFromPod, "pod1", call(client));
    forward(call(client), "pod1");
  }
  [[nodiscard]] std::vector<Event> events_of(EventKind kind) const {
    std::vector<Event> all = events();
    std::erase_if(all, [&](const Event& event) { return event.kind != kind; });
    return all;
  }
  [[nodiscard]] std::uint64_t attempts() const { return counters(unnamed()).syns; }
};
INSTANTIATE_TEST_SUITE_P(Families, LearnedTest, ::testing::Values(&kV4, &kV6), family_name);

TEST_P(LearnedTest, WhoSendsASynBackIsALoadBalancer) {
  leave(a().p1);
  EXPECT_EQ(attempts(), 0) << "so far it is anybody";
  see(Hook::kFromNet, "eth0", back(a().p1));
  const auto learned = events();
  ASSERT_EQ(learned.size(), 1);
  EXPECT_EQ(learned[0].kind, EventKind::kLearned);
  EXPECT_EQ(learned[0].attempt.load_balancer, (Endpoint{ip(unnamed()), 443}));
  EXPECT_EQ(learned[0].attempt.client, (Endpoint{ip(a().p1), kPort}));
  EXPECT_EQ(learned[0].attempt.returned, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(learned[0].attempt.syn_ifindex, ifindex_of("pod1"));

  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_TRUE(seen[0].attempt.learned);
  EXPECT_LT(seen[0].attempt.synack - seen[0].attempt.first_syn, 3s);
  EXPECT_GE(seen[0].attempt.synack, seen[0].attempt.first_syn);
  EXPECT_EQ(attempts(), 1);
  EXPECT_EQ(counters(unnamed()).mismatched, 1);
}

TEST_P(LearnedTest, WhatIsRoutedBackByPolicyIsAnsweredAndNoMismatch) {
  leave(a().p1);
  see(Hook::kFromNet, "eth0", back(a().p1));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(unnamed(), 443, a().p1));
  sweep_after(4s);
  EXPECT_EQ(counters(unnamed()).answered, 1);
  EXPECT_EQ(counters(unnamed()).mismatched, 0);
  EXPECT_THAT(events_of(EventKind::kMismatch), IsEmpty());
}

TEST_P(LearnedTest, AFastOpenSynToo) {
  see(Hook::kFromPod, "pod1", call(a().p1).payload(100));
  see(Hook::kFromNet, "eth0", back(a().p1).payload(100));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, kPort, kIsn + 100));
  EXPECT_EQ(counters(unnamed()).mismatched, 1);
}

TEST_P(LearnedTest, OneSynFromTheNetworkIsNoProof) {
  leave(a().p1);
  see(Hook::kFromNet, "eth0", back(a().p1));
  see(Hook::kFromNet, "eth0", back(a().p1));
  EXPECT_EQ(sweep_after(2s), 1);
  sweep_after(4s);
  EXPECT_EQ(counters(unnamed()).unanswered, 1);
  EXPECT_EQ(counters(unnamed()).mismatched, 0);
  EXPECT_THAT(events_of(EventKind::kMismatch), IsEmpty());
}

TEST_P(LearnedTest, ThatItIsSentBackEachTimeIs) {
  leave(a().p1);
  see(Hook::kFromNet, "eth0", back(a().p1));
  std::this_thread::sleep_for(150ms);
  leave(a().p1);
  see(Hook::kFromNet, "eth0", back(a().p1));
  sweep_after(4s);
  EXPECT_EQ(counters(unnamed()).mismatched, 1);
  EXPECT_EQ(attempts(), 1);
}

TEST_P(LearnedTest, AnotherPortOfTheSameClientIsTheLoadBalancersDoing) {
  leave(a().p1);
  see(Hook::kFromNet, "eth0", back(a().p1, 20001));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 20001));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 20001));
  const auto seen = events_of(EventKind::kMismatch);
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.client, (Endpoint{ip(a().p1), kPort})) << "the client's own";
}

TEST_P(LearnedTest, APodBehindTheNodesAddressIsNamedItself) {
  see(Hook::kFromPod, "pod1", call(a().p1));
  forward(PacketBuilder().from(a().node, 50000).to(unnamed(), 443).tcp(kSyn, kIsn), "pod1");
  see(Hook::kFromNet, "eth0", back(a().node, 50000));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().node, 50000));
  sweep_after(4s);
  const auto seen = events_of(EventKind::kMismatch);
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.client, (Endpoint{ip(a().p1), kPort}));
  EXPECT_FALSE(seen[0].attempt.host_client);
}

TEST_P(LearnedTest, ClientsOnTheNodeFindThemToo) {
  see(Hook::kToNet, "eth0", call(a().node));
  see(Hook::kFromNet, "eth0", back(a().node));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().node));
  sweep_after(4s);
  const auto seen = events_of(EventKind::kMismatch);
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.client, (Endpoint{ip(a().node), kPort}));
  EXPECT_TRUE(seen[0].attempt.host_client);
}

// By macvlan, from an address to which no pod's device leads: nothing but the uplink has seen its SYN.
TEST_P(LearnedTest, APodWithoutADeviceFindsThemToo) {
  const char* const client = GetParam() == &kV4 ? "10.0.0.110" : "fd00::110";
  see(Hook::kToNet, "eth0", call(client));
  see(Hook::kFromNet, "eth0", back(client));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, client));
  see(Hook::kFromNet, "eth0", synack(a().p2, 8443, client));
  sweep_after(4s);
  const auto seen = events_of(EventKind::kMismatch);
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.client, (Endpoint{ip(client), kPort}));
  EXPECT_EQ(seen[0].attempt.syn_ifindex, ifindex_of("eth0"));
  EXPECT_FALSE(seen[0].attempt.host_client) << "it is a pod";
}

// Until the agent watches it, what the client sends again is no SYN that the node passes on.
TEST_P(LearnedTest, ASynSentAgainIsNotForwarded) {
  leave(a().p1);
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 8443));
  leave(a().p1);
  see(Hook::kToPod, "pod1", synack(a().node, 8443, a().p1));
  const auto seen = events_of(EventKind::kMismatch);
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinHostTarget);
}

TEST_P(LearnedTest, ANodePortPassesItOn) {
  leave(a().p1);
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  forward(PacketBuilder().from(a().node, 50001).to(a().elsewhere, 8443).tcp(kSyn, kIsn), "eth0");
  see(Hook::kToPod, "pod1", synack(a().node, 30443, a().p1));
  const auto seen = events_of(EventKind::kMismatch);
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
}

// A load balancer is watched before the SYN comes back that found it.
TEST_P(LearnedTest, TheSynThatWasNotedBeforeIsAnAttemptAllTheSame) {
  leave(a().p1);
  ASSERT_TRUE(change_frontends({Frontend{.address = ip(unnamed()), .port = 443}}, {}));
  see(Hook::kFromNet, "eth0", back(a().p1));
  EXPECT_EQ(attempts(), 1);
  leave(a().p1);
  EXPECT_EQ(attempts(), 1);
  EXPECT_EQ(counters(unnamed()).syn_retransmits, 1);
}

// The load balancer becomes known between the pod's device and the uplink, where the SYN has the node's address.
TEST_P(LearnedTest, ASynThatTheNodeRenamesMeanwhileIsNoneOfTheNodes) {
  see(Hook::kFromPod, "pod1", call(a().p1));
  ASSERT_TRUE(change_frontends({Frontend{.address = ip(unnamed()), .port = 443}}, {}));
  forward(PacketBuilder().from(a().node, 50000).to(unnamed(), 443).tcp(kSyn, kIsn), "pod1");
  EXPECT_EQ(attempts(), 0);
  see(Hook::kFromNet, "eth0", back(a().node, 50000));
  EXPECT_EQ(attempts(), 1);
  see(Hook::kToNet, "eth0", PacketBuilder().from(a().node, 50001).to(unnamed(), 443).tcp(kSyn, kIsn + 1));
  EXPECT_EQ(attempts(), 2) << "its own";
}

// Nobody else notes it: sent again, it is an attempt like any other.
TEST_P(LearnedTest, TheNodesOwnSynThatWasNotedBeforeIsAnAttemptWhenItIsSentAgain) {
  see(Hook::kToNet, "eth0", call(a().node));
  ASSERT_TRUE(change_frontends({Frontend{.address = ip(unnamed()), .port = 443}}, {}));
  see(Hook::kToNet, "eth0", call(a().node));
  EXPECT_EQ(attempts(), 1);
}

TEST_P(LearnedTest, WhatComesBackForTheSameDestinationHasGoneAstray) {
  // A client that has called a load balancer: what it never sent would be unsolicited.
  see(Hook::kFromPod, "pod1", syn(a(), 999, 999));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1, 999, 999));
  const auto to_p2 = PacketBuilder().from(a().p1, kPort).to(a().p2, 8443).tcp(kSyn, kIsn);
  see(Hook::kFromPod, "pod1", to_p2);
  forward(to_p2, "pod1");
  see(Hook::kFromNet, "eth0", to_p2);
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, kPort).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  sweep_after(4s);
  EXPECT_EQ(counters(a().p2, 8443).syns, 0);
  EXPECT_THAT(events(), IsEmpty());
}

struct Refusal {
  const char* why;
  std::function<void()> packets;
};

TEST_P(LearnedTest, NothingElseFindsOne) {
  const std::vector<Refusal> refusals{
      {"nobody has sent it", [&] { see(Hook::kFromNet, "eth0", back(a().p1)); }},
      {"another ISN",
       [&] {
         leave(a().p1);
         see(Hook::kFromNet, "eth0", back(a().p1, kPort, kIsn + 1));
         see(Hook::kFromNet, "eth0", back(a().p1, kPort, kIsn + kNotes));
       }},
      {"another pod's address",
       [&] {
         leave(a().p1);
         see(Hook::kFromNet, "eth0", returned(a().p2, a().p1, 8443));
       }},
      {"somebody else's address",
       [&] {
         leave(a().p1);
         see(Hook::kFromNet, "eth0", back(a().elsewhere));
       }},
      {"no SYN",
       [&] {
         leave(a().p1);
         see(Hook::kFromNet, "eth0", PacketBuilder().from(a().p1, kPort).to(a().p2, 8443).tcp(kSyn | kAck, kIsn, 1));
         see(Hook::kFromNet, "eth0", PacketBuilder().from(a().p1, kPort).to(a().p2, 8443).tcp(kRst, kIsn));
       }},
      {"the node has translated it (ClusterIP)",
       [&] {
         see(Hook::kFromPod, "pod1", call(a().p1));
         forward(back(a().p1), "pod1");
         see(Hook::kFromNet, "eth0", back(a().p1));
       }},
      {"the same by two uplinks, and hidden behind the node's address",
       [&] {
         see(Hook::kFromPod, "pod1", call(a().p1));
         forward(back(a().node, 50000), "pod1");
         forward(back(a().node, 50000), "pod1");
         see(Hook::kFromNet, "eth0", back(a().node, 50000));
       }},
      {"forwarded for a pod whose device is not watched",
       [&] {
         forward(call(a().p1), "eth0-peer");
         see(Hook::kFromNet, "eth0", back(a().p1));
       }},
      {"forwarded in the node's name",
       [&] {
         forward(call(a().node), "eth0-peer");
         see(Hook::kFromNet, "eth0", back(a().node));
       }},
      {"forwarded for somebody who has no device here",
       [&] {
         forward(call(a().elsewhere), "eth0-peer");
         see(Hook::kFromNet, "eth0", back(a().elsewhere));
       }},
      {"the node's own, but not from its address",
       [&] {
         see(Hook::kToNet, "eth0", call(a().p1));
         see(Hook::kFromNet, "eth0", back(a().p1));
       }},
      {"it reaches a pod, and came in on no uplink",
       [&] {
         leave(a().p1);
         see(Hook::kToPod, "pod2", back(a().p1));
       }},
      {"another pod has sent it, and no uplink",
       [&] {
         leave(a().p1);
         see(Hook::kFromPod, "pod2", back(a().p1));
         see(Hook::kToPod, "pod1", back(a().p1));
       }},
      {"it has come in, and was never sent",
       [&] {
         see(Hook::kFromNet, "eth0", call(a().p1));
         see(Hook::kToPod, "pod1", call(a().p1));
         see(Hook::kFromNet, "eth0", back(a().p1));
       }},
  };
  for (const Refusal& refusal : refusals) {
    use(fresh_kernel_side(features()));
    refusal.packets();
    EXPECT_EQ(attempts(), 0) << refusal.why;
    EXPECT_THAT(events(), IsEmpty()) << refusal.why;
    EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 0) << refusal.why;
  }
}

TEST_P(LearnedTest, ASynInAnothersNameIsForged) {
  const auto forged = [&](const char* device, const char* address) {
    use(fresh_kernel_side(features()));
    see(Hook::kFromPod, device, call(address));
    see(Hook::kFromNet, "eth0", back(address));
    EXPECT_EQ(attempts(), 0) << device << " as " << address;
    EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1) << device << " as " << address;
    EXPECT_EQ(kernel->variables.spoofing_device(), ifindex_of(device));
    EXPECT_THAT(events(), IsEmpty());
  };
  forged("pod1", a().p2);
  forged("pod1", a().node);
  // A port of a bridge, by the address that it sends from.
  if (GetParam() == &kV4) {
    use(fresh_kernel_side(features()));
    const auto from_bridge = [&](std::uint8_t mac) {
      see(Hook::kFromPod, "br2", call("10.0.3.10").source_mac(mac));
      see(Hook::kFromNet, "eth0", back("10.0.3.10"));
    };
    from_bridge(0x12);
    EXPECT_EQ(total(HP_TOTAL_SPOOFED_SOURCES), 1);
    EXPECT_EQ(attempts(), 0);
    from_bridge(0x11);
    EXPECT_EQ(attempts(), 1) << "nobody can tell";
  }
}

TEST_P(LearnedTest, ANoteIsOldAfterTheSettleTime) {
  load({.handshake_timeout = 50ms});
  leave(a().p1);
  std::this_thread::sleep_for(100ms);
  see(Hook::kFromNet, "eth0", back(a().p1));
  EXPECT_EQ(attempts(), 0);
  leave(a().p1);
  see(Hook::kFromNet, "eth0", back(a().p1));
  EXPECT_EQ(attempts(), 1) << "it was sent again";
}

// Half of one and half of another, as another CPU may read it.
TEST_P(LearnedTest, ANoteThatIsNotWholeIsNone) {
  const std::uint32_t place = kIsn % kNotes;
  const int notes = kernel->programs->map_fd("noted_syns");
  std::array<std::array<std::byte, kNoteBytes>, 2> whole{};
  for (std::size_t i = 0; i < whole.size(); i++) {
    see(Hook::kFromPod, "pod1",
        PacketBuilder().from(a().p1, static_cast<std::uint16_t>(kPort + i)).to(unnamed(), 443).tcp(kSyn, kIsn));
    ASSERT_EQ(bpf_map_lookup_elem(notes, &place, whole.at(i).data()), 0);
  }
  for (std::size_t cut = 8; cut < kNoteBytes; cut += 8) {
    auto torn = whole[0];
    std::copy(whole[1].begin() + static_cast<std::ptrdiff_t>(cut), whole[1].end(),
              torn.begin() + static_cast<std::ptrdiff_t>(cut));
    if (torn == whole[0] || torn == whole[1]) {
      continue;
    }
    ASSERT_EQ(bpf_map_update_elem(notes, &place, torn.data(), BPF_ANY), 0);
    see(Hook::kFromNet, "eth0", back(a().p1));
    EXPECT_EQ(attempts(), 0) << cut;
  }
  ASSERT_EQ(bpf_map_update_elem(notes, &place, whole[0].data(), BPF_ANY), 0);
  see(Hook::kFromNet, "eth0", back(a().p1));
  EXPECT_EQ(attempts(), 1);
}

// A known load balancer that keeps the client's address and ISN, and not its port.
TEST_P(HandshakeFamilyTest, ARemappedPortIsTheSameAttempt) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToNet, "eth0", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p2, a().p1, 8443, 20001));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443, 20001, kIsn + 1));
  EXPECT_THAT(events(), IsEmpty());
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443, 20001));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 20001));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 20001));
  see(Hook::kFromPod, "pod1", PacketBuilder().from(a().p1, 20001).to(a().p2, 8443).tcp(kRst, kIsn + 1));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 2) << "the mismatch, and its outcome";
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.client, (Endpoint{ip(a().p1), kPort})) << "the client's own";
  EXPECT_EQ(seen[0].attempt.returned, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(seen[1].attempt.outcome, Outcome::kResetByClient);
  EXPECT_FALSE(seen[0].attempt.learned);
  EXPECT_EQ(counters(a().lb).syns, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

TEST_P(HandshakeFamilyTest, ARemappedPortThatTheLoadBalancerRestoresIsNoMismatch) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().p2, 8443, 20001));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 20001));
  see(Hook::kToPod, "pod1", synack(a().lb, 443, a().p1));
  sweep_after(4s);
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_THAT(events(), IsEmpty());
}

}  // namespace
}  // namespace hairpind::testing
