// SPDX-License-Identifier: Apache-2.0
// Floods of one pod, of many, and from the network: what others do is judged and counted all the same, and what is
// given up is counted as such. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bpf_runner.hpp"
#include "hairpind/bpf/kernel_side.hpp"
#include "hairpind/bpf/load_balancer_rows.hpp"
#include "node_test.hpp"
#include "packet_builder.hpp"

namespace hairpind::testing {
namespace {

using namespace std::chrono_literals;

struct Pod {
  const char* device;
  const char* address;
  std::uint8_t mac = 1;
};
struct Family {
  Pod hostile;
  Pod other;
  const char* lb;
  const char* node;
  const char* elsewhere;
};
constexpr Family kV4{{"pod1", "10.0.1.10"}, {"pod2", "10.0.1.20"}, "10.0.5.5", "10.0.0.4", "10.0.9.9"};
constexpr Family kV6{{"pod1", "fd00:1::10"}, {"pod2", "fd00:1::20"}, "fd00:5::5", "fd00::4", "fd00:9::9"};
// Two more, on a bridge, IPv4.
constexpr std::array<Pod, 2> kMore{{{"br1", "10.0.3.10", 0x11}, {"br2", "10.0.3.20", 0x12}}};
constexpr std::uint32_t kFlood = 0x40000000;  // ISNs from here on
constexpr std::uint32_t kIsn = 0x10203040;

class BudgetsTest : public NodeTest, public ::testing::WithParamInterface<const Family*> {
 protected:
  [[nodiscard]] const Family& a() const { return *GetParam(); }
  [[nodiscard]] bool v4() const { return GetParam() == &kV4; }

  void load(Programs::Options options, const std::vector<Frontend>& frontends) {
    // Test packets end in kfree_skb, which the tracepoint would take for the kernel dropping them.
    const KernelFeatures features =
        KernelFeatures::probe().without(Feature::kDropReasons).without(Feature::kResetTracepoint);
    auto loaded = KernelSide::load(options, *choose_attach_mode("auto", features), features, true);
    ASSERT_TRUE(loaded) << loaded.error().message;
    kernel = *std::move(loaded);
    ASSERT_THAT(kernel->frontends.change(frontends, {}).frontends, ::testing::IsEmpty());
    ASSERT_TRUE(kernel->attachments.set_node_addresses({ip(kV4.node), ip(kV6.node), ip("10.0.3.1")}));
    attach_devices(*kernel);
  }
  void load(Programs::Options options = {}) { load(options, {Frontend{.address = ip(a().lb), .port = 443}}); }

  void see(Hook hook, const char* device, const PacketBuilder& packet) const {
    run_program(kernel->programs->fd(hook), packet.build(), ifindex_of(device));
  }
  void call(const Pod& pod, std::uint16_t port, std::uint32_t isn, std::uint16_t lb_port = 443) const {
    see(Hook::kFromPod, pod.device,
        PacketBuilder().from(pod.address, port).to(a().lb, lb_port).tcp(kSyn, isn).source_mac(pod.mac));
  }
  // Nothing ever comes back.
  void flood(const Pod& pod, std::uint32_t first, std::uint32_t count) const {
    for (std::uint32_t i = first; i < first + count; i++) {
      call(pod, static_cast<std::uint16_t>(1024 + i % 60000), kFlood + i);
    }
  }
  // The SYN comes back, a policy drops the answer: only time decides it.
  void hairpin_that_time_decides(const Pod& client, const Pod& target) const {
    call(client, 40000, kIsn);
    see(Hook::kFromNet, "eth0", PacketBuilder().from(client.address, 40000).to(target.address, 8443).tcp(kSyn, kIsn));
    see(Hook::kFromPod, target.device, answer(target, 8443, client, 40000, kIsn));
  }
  [[nodiscard]] static PacketBuilder answer(const Pod& from, std::uint16_t from_port, const Pod& to, std::uint16_t port,
                                            std::uint32_t isn) {
    return PacketBuilder().from(from.address, from_port).to(to.address, port).tcp(kSyn | kAck, 7, isn + 1);
  }
  [[nodiscard]] PacketBuilder answer_of_lb(const Pod& to, std::uint16_t port, std::uint32_t isn) const {
    return PacketBuilder().from(a().lb, 443).to(to.address, port).tcp(kSyn | kAck, 7, isn + 1);
  }
  // SYNs in a client's name that it never sent.
  void flood_from_the_network(const Pod& client, std::uint32_t count) const {
    for (std::uint32_t i = 0; i < count; i++) {
      see(Hook::kFromNet, "eth0",
          PacketBuilder()
              .from(client.address, static_cast<std::uint16_t>(1024 + i))
              .to(a().elsewhere, 8443)
              .tcp(kSyn, kFlood + i));
    }
  }

  [[nodiscard]] std::vector<Event> events() const {
    std::vector<Event> result;
    const auto polled = kernel->ring.poll([&](const Event& event) {
      if (event.kind == EventKind::kMismatch) {
        result.push_back(event);
      }
    });
    EXPECT_TRUE(polled) << polled.error().message;
    return result;
  }
  [[nodiscard]] std::vector<Event> events_of(const Pod& client) const {
    std::vector<Event> result = events();
    std::erase_if(result, [&](const Event& event) { return event.attempt.client.address != ip(client.address); });
    return result;
  }
  [[nodiscard]] LoadBalancerCounters counters(std::uint16_t port = 443) const {
    const auto all = kernel->counters->read_load_balancers();
    EXPECT_TRUE(all);
    for (const LoadBalancerCounters& counted : *all) {
      if (counted.load_balancer == Endpoint{.address = ip(a().lb), .port = port}) {
        return counted;
      }
    }
    return {};
  }
  [[nodiscard]] std::uint64_t total(hp_total index) const { return kernel->counters->read_totals().at(index); }
  void settle() const {
    const auto now = std::chrono::duration_cast<SinceBoot>(std::chrono::steady_clock::now().time_since_epoch());
    // The first may ask about conntrack.
    for (const auto later : {4s, 5s}) {
      EXPECT_TRUE(kernel->settler.sweep(now + later));
    }
  }
  // Each attempt has come to something, or is counted as given up.
  void expect_all_accounted_for() const {
    const LoadBalancerCounters counted = counters();
    EXPECT_EQ(total(HP_TOTAL_PENDING_FAILED), 0);
    EXPECT_EQ(counted.syns, counted.answered + counted.mismatched + counted.refused + counted.unanswered +
                                total(HP_TOTAL_UNDECIDED_EVICTED));
  }

  std::unique_ptr<KernelSide> kernel;
};
INSTANTIATE_TEST_SUITE_P(Families, BudgetsTest, ::testing::Values(&kV4, &kV6),
                         [](const auto& parameter) { return parameter.param == &kV4 ? "ipv4" : "ipv6"; });

// --- the table of attempts ------------------------------------------------------------------------------------

TEST_P(BudgetsTest, AFloodTakesItsOwnAttemptsPlaces) {
  load({.pending_syns = 256});
  flood(a().hostile, 0, 1000);
  hairpin_that_time_decides(a().other, a().hostile);
  flood(a().hostile, 1000, 5000);
  settle();
  ASSERT_EQ(events_of(a().other).size(), 1);
  EXPECT_EQ(counters().mismatched, 1);
  EXPECT_GE(total(HP_TOTAL_UNDECIDED_EVICTED), 6000 - 256);
  EXPECT_EQ(kernel->variables.crowding_device(), ifindex_of("pod1"));
  expect_all_accounted_for();
}

TEST_P(BudgetsTest, SoDoManyAtOnce) {
  load({.pending_syns = 256});
  std::vector<Pod> pods{a().hostile};
  if (v4()) {
    pods.insert(pods.end(), kMore.begin(), kMore.end());
  }
  const auto all_flood = [&](std::uint32_t first) {
    for (std::uint32_t i = first; i < first + 1000; i++) {
      for (const Pod& pod : pods) {
        flood(pod, i, 1);
      }
    }
  };
  all_flood(0);
  hairpin_that_time_decides(a().other, a().hostile);
  all_flood(1000);
  settle();
  EXPECT_EQ(events_of(a().other).size(), 1);
  expect_all_accounted_for();
}

TEST_P(BudgetsTest, TheNetworkMakesNoAttemptGo) {
  load({.pending_syns = 64});
  call(a().other, 999, 999);
  see(Hook::kToPod, a().other.device, answer_of_lb(a().other, 999, 999));
  hairpin_that_time_decides(a().other, a().hostile);
  // Fewer than the network will have, and more in a row than are looked at.
  for (std::uint16_t i = 0; i < 20; i++) {
    call(a().other, static_cast<std::uint16_t>(50000 + i), 50000U + i);
  }
  flood_from_the_network(a().other, 2000);
  settle();
  EXPECT_EQ(events_of(a().other).size(), 1);
  EXPECT_EQ(counters().unanswered, 20) << "each was there to be settled";
  EXPECT_GE(total(HP_TOTAL_UNDECIDED_EVICTED), 2000 - 64) << "what the network sent";
  EXPECT_EQ(kernel->variables.crowding_device(), 0);
}

TEST_P(BudgetsTest, WhatFindsNoPlaceIsNotTheNodesOwnUnderItsAddress) {
  load({.pending_syns = 64});
  flood(a().hostile, 0, 34);
  for (std::uint16_t i = 0; i < 30; i++) {
    call(a().other, static_cast<std::uint16_t>(50000 + i), 50000U + i);
  }
  constexpr std::uint32_t kMoreSyns = 100;
  for (std::uint32_t i = 0; i < kMoreSyns; i++) {
    const auto port = static_cast<std::uint16_t>(2000 + i);
    call(a().hostile, port, 0x70000000U + i);
    see(Hook::kToNet, "eth0", PacketBuilder().from(a().node, port).to(a().lb, 443).tcp(kSyn, 0x70000000U + i));
  }
  EXPECT_EQ(counters().syns, 34 + 30 + kMoreSyns);
}

// --- SYNs that may find a load balancer -------------------------------------------------------------------------

TEST_P(BudgetsTest, AFloodLeavesOthersNotesAlone) {
  load();
  constexpr std::uint32_t kPlaces = 4096;
  constexpr std::uint32_t kSyns = 3000;
  const auto syn = [&](const Pod& pod, std::uint16_t port, std::uint32_t isn) {
    return PacketBuilder().from(pod.address, port).to(a().elsewhere, 443).tcp(kSyn, isn);
  };
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint32_t i = 0; i < kSyns; i++) {
    // By chance it would meet the other's place now and then.
    const std::uint32_t isn = kFlood + kPlaces * i + 256 + i % (kPlaces - 256);
    see(Hook::kFromPod, a().hostile.device, syn(a().hostile, static_cast<std::uint16_t>(1024 + i), isn));
  }
  const auto moments = (std::chrono::steady_clock::now() - begin) / 67ms + 2;
  const auto unnoted = total(HP_TOTAL_SYNS_UNNOTED);
  EXPECT_GE(unnoted + static_cast<std::uint64_t>(moments) * HP_NOTES_A_DEVICE, kSyns);
  see(Hook::kFromPod, a().other.device, syn(a().other, 40000, kIsn));
  EXPECT_EQ(total(HP_TOTAL_SYNS_UNNOTED), unnoted);
  see(Hook::kFromNet, "eth0",
      PacketBuilder().from(a().other.address, 40000).to(a().hostile.address, 8443).tcp(kSyn, kIsn));
  see(Hook::kToPod, a().other.device, answer(a().hostile, 8443, a().other, 40000, kIsn));
  EXPECT_EQ(events_of(a().other).size(), 1);
}

// --- the table of incidents -----------------------------------------------------------------------------------

TEST_P(BudgetsTest, APodThatFillsTheIncidentsLeavesRoomForOthers) {
  load();
  for (std::uint32_t i = 0; i < 9000; i++) {
    const auto port = static_cast<std::uint16_t>(1024 + i);
    call(a().hostile, port, kFlood + i);
    see(Hook::kToPod, a().hostile.device,
        PacketBuilder().from(a().elsewhere, port).to(a().hostile.address, port).tcp(kSyn | kAck, 7, kFlood + i + 1));
  }
  static_cast<void>(events());
  EXPECT_LE(kernel->counters->read_incidents()->size(), HP_INCIDENTS / 8);
  EXPECT_EQ(counters().mismatched, 9000) << "counted all the same";
  call(a().other, 40000, kIsn);
  see(Hook::kToPod, a().other.device, answer(a().hostile, 8443, a().other, 40000, kIsn));
  EXPECT_EQ(events_of(a().other).size(), 1);

  const auto mine = kernel->counters->read_incidents();
  for (const IncidentCount& incident : *mine) {
    kernel->incidents.forget(incident.key);
  }
  call(a().hostile, 1000, kIsn);
  see(Hook::kToPod, a().hostile.device, answer(a().other, 8443, a().hostile, 1000, kIsn));
  EXPECT_EQ(kernel->counters->read_incidents()->size(), 1) << "what is forgotten is given back";
}

TEST_P(BudgetsTest, TheNetworkAloneMakesNoIncident) {
  load();
  call(a().hostile, 999, 999);
  see(Hook::kToPod, a().hostile.device, answer_of_lb(a().hostile, 999, 999));
  for (std::uint32_t i = 0; i < 200; i++) {
    const auto port = static_cast<std::uint16_t>(2000 + i);
    // Both the SYN and the answer to it come in, in the name of somebody who is nowhere.
    see(Hook::kFromNet, "eth0",
        PacketBuilder().from(a().hostile.address, port).to(a().elsewhere, 8443).tcp(kSyn, kFlood + i));
    const PacketBuilder forged =
        PacketBuilder().from(a().elsewhere, 8443).to(a().hostile.address, port).tcp(kSyn | kAck, 7, kFlood + i + 1);
    see(Hook::kFromNet, "eth0", forged);
    see(Hook::kToPod, a().hostile.device, forged);
    see(Hook::kFromPod, a().hostile.device,
        PacketBuilder().from(a().hostile.address, port).to(a().elsewhere, 8443).tcp(kRst, kFlood + i + 1));
  }
  EXPECT_THAT(*kernel->counters->read_incidents(), ::testing::IsEmpty());
}

TEST_P(BudgetsTest, AndWithAPodThatAnswersNoMoreThanItsPart) {
  load();
  call(a().hostile, 999, 999);
  see(Hook::kToPod, a().hostile.device, answer_of_lb(a().hostile, 999, 999));
  for (std::uint32_t i = 0; i < 3000; i++) {
    const auto port = static_cast<std::uint16_t>(2000 + i);
    see(Hook::kFromNet, "eth0",
        PacketBuilder().from(a().hostile.address, 50000).to(a().other.address, port).tcp(kSyn, kFlood + i));
    see(Hook::kFromPod, a().other.device, answer(a().other, port, a().hostile, 50000, kFlood + i));
    see(Hook::kFromPod, a().hostile.device,
        PacketBuilder().from(a().hostile.address, 50000).to(a().other.address, port).tcp(kRst, kFlood + i + 1));
  }
  const std::size_t incidents = kernel->counters->read_incidents()->size();
  EXPECT_GE(incidents, 100);
  EXPECT_LE(incidents, HP_INCIDENTS / 16);
  static_cast<void>(events());
  call(a().hostile, 40000, kIsn);
  see(Hook::kToPod, a().hostile.device, answer(a().other, 8443, a().hostile, 40000, kIsn));
  EXPECT_EQ(events_of(a().hostile).size(), 1) << "whose name the network used has its own part";
}

// --- the table of load balancers ------------------------------------------------------------------------------

TEST_P(BudgetsTest, APodThatTriesEachPortLeavesRowsToOthers) {
  load({}, {Frontend{.address = ip(a().lb)}});
  for (std::uint16_t port = 1000; port < 2100; port++) {
    call(a().hostile, 40000, kFlood + port, port);
  }
  EXPECT_EQ(kernel->counters->read_load_balancers()->size(), HP_ROWS_A_DEVICE + 1);
  EXPECT_EQ(total(HP_TOTAL_LB_TABLE_FULL), 1100 - HP_ROWS_A_DEVICE);
  call(a().other, 40000, kIsn);
  EXPECT_EQ(counters().syns, 1);

  // A listed one has its row whoever calls it first.
  ASSERT_THAT(kernel->frontends.change({{Frontend{.address = ip(a().elsewhere), .port = 443}}}, {}).frontends,
              ::testing::IsEmpty());
  see(Hook::kFromPod, a().hostile.device,
      PacketBuilder().from(a().hostile.address, 1).to(a().elsewhere, 443).tcp(kSyn, kIsn));
  EXPECT_EQ(kernel->counters->read_load_balancers()->size(), HP_ROWS_A_DEVICE + 3);
}

TEST_P(BudgetsTest, RowsThatNobodyUsesAreGivenBack) {
  load({}, {Frontend{.address = ip(a().lb)}});
  for (std::uint16_t port = 1000; port < 2100; port++) {
    call(a().hostile, 40000, kFlood + port, port);
  }
  LoadBalancerRows rows(*kernel->programs, kernel->variables.accounts(), 3s);
  SinceBoot now = 1000s;
  const auto look_after = [&](std::chrono::seconds elapsed) {
    now += elapsed;
    ASSERT_TRUE(rows.look(kernel->frontends.watched(), now));
  };
  look_after(0s);
  look_after(600s);
  look_after(10s);
  EXPECT_EQ(kernel->counters->read_load_balancers()->size(), HP_ROWS_A_DEVICE + 1) << "its series stays for an hour";
  call(a().hostile, 40000, kIsn, 1000);
  look_after(3000s);
  look_after(10s);
  EXPECT_EQ(kernel->counters->read_load_balancers()->size(), 2) << "the one that was used";
  EXPECT_EQ(counters(1000).syns, 2);
  constexpr std::uint16_t kBehindTheLast = 3000 + HP_ROWS_A_DEVICE - 1;
  for (std::uint16_t port = 3000; port < kBehindTheLast; port++) {
    call(a().hostile, 40000, kFlood + port, port);
    EXPECT_EQ(counters(port).syns, 1);
  }
  EXPECT_EQ(counters(1000).syns, 2);

  // Gone from the configuration: as soon as no attempt can refer to it.
  ASSERT_THAT(kernel->frontends.change({}, {{Frontend{.address = ip(a().lb)}}}).frontends, ::testing::IsEmpty());
  look_after(10s);
  look_after(150s);
  look_after(10s);
  EXPECT_EQ(kernel->counters->read_load_balancers()->size(), 1);
}

TEST_P(BudgetsTest, WhereAPortIsListedAPrefixDoesNotStandForTheOthers) {
  load({.prefixes = true},
       {Frontend{.address = ip(a().lb), .port = 443}, v4() ? Frontend{.address = ip("10.0.5.0"), .prefix_length = 120}
                                                           : Frontend{.address = ip("fd00:5::"), .prefix_length = 64}});
  call(a().hostile, 40000, 1, 80);
  call(a().hostile, 40000, 2, 443);
  EXPECT_EQ(counters(80).syns, 0);
  EXPECT_EQ(counters(443).syns, 1);
  ASSERT_THAT(kernel->frontends.change({{Frontend{.address = ip(a().lb)}}}, {}).frontends, ::testing::IsEmpty());
  call(a().hostile, 40000, 3, 80);
  EXPECT_EQ(counters(80).syns, 1) << "somebody asks for every port of it";
  ASSERT_THAT(
      kernel->frontends.change({}, {{Frontend{.address = ip(a().lb), .port = 443}, Frontend{.address = ip(a().lb)}}})
          .frontends,
      ::testing::IsEmpty());
  call(a().hostile, 40000, 4, 81);
  EXPECT_EQ(counters(81).syns, 1) << "none is listed any more";
}

// --- whose ACK is looked for ----------------------------------------------------------------------------------

// Translated back and handed to the pod past its hooks: only its ACK tells.
class HiddenAnswerTest : public BudgetsTest {
 protected:
  void healthy_handshake(const std::function<void()>& meanwhile) const {
    call(a().other, 40000, kIsn);
    see(Hook::kFromPod, a().hostile.device, answer(a().hostile, 8443, a().other, 40000, kIsn));
    meanwhile();
    see(Hook::kFromPod, a().other.device,
        PacketBuilder().from(a().other.address, 40000).to(a().lb, 443).tcp(kAck, kIsn + 1, 8));
  }
};
INSTANTIATE_TEST_SUITE_P(Families, HiddenAnswerTest, ::testing::Values(&kV4, &kV6),
                         [](const auto& parameter) { return parameter.param == &kV4 ? "ipv4" : "ipv6"; });

TEST_P(HiddenAnswerTest, IsSeenBesideAFloodThatNobodyAnswers) {
  load();
  healthy_handshake([&] { flood(a().hostile, 0, 20000); });
  EXPECT_EQ(counters().answered, 1);
  settle();
  EXPECT_EQ(counters().mismatched, 0);
}

TEST_P(HiddenAnswerTest, IsSeenBesideAFloodThatIsAnswered) {
  load();
  healthy_handshake([&] {
    for (std::uint32_t i = 0; i < 20000; i++) {
      const auto port = static_cast<std::uint16_t>(1024 + i);
      call(a().hostile, port, kFlood + i);
      // Its pod never acknowledges it.
      see(Hook::kToPod, a().hostile.device, answer_of_lb(a().hostile, port, kFlood + i));
    }
  });
  EXPECT_EQ(counters().answered, 20001);
}

TEST_P(HiddenAnswerTest, IsSeenBesideManyThatComplete) {
  load();
  healthy_handshake([&] {
    for (std::uint32_t i = 0; i < 20000; i++) {
      const auto port = static_cast<std::uint16_t>(1024 + i);
      call(a().hostile, port, kFlood + i);
      see(Hook::kFromPod, a().hostile.device,
          PacketBuilder().from(a().hostile.address, port).to(a().lb, 443).tcp(kAck, kFlood + i + 1, 8));
    }
  });
  EXPECT_EQ(counters().answered, 20001);
}

TEST_P(HiddenAnswerTest, WhoseAckCannotBeFoundIsNoMismatch) {
  load();
  flood(a().other, 0, 1000);
  healthy_handshake([] {});
  settle();
  EXPECT_EQ(counters().mismatched, 0);
  EXPECT_EQ(total(HP_TOTAL_ACK_UNWATCHED), 1);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

// Whatever comes to an end gives its tag back, so that a busy pod's later handshakes have one.
TEST_P(HiddenAnswerTest, TagsAreGivenBack) {
  load();
  for (std::uint32_t i = 0; i < 2000; i++) {
    const auto port = static_cast<std::uint16_t>(1024 + i);
    call(a().other, port, kFlood + i);
    see(Hook::kToPod, a().other.device,
        PacketBuilder().from(a().lb, 443).to(a().other.address, port).tcp(kRst | kAck, 0, kFlood + i + 1));
  }
  healthy_handshake([] {});
  EXPECT_EQ(counters().answered, 1);
  flood(a().other, 0, 300);
  const auto now = std::chrono::duration_cast<SinceBoot>(std::chrono::steady_clock::now().time_since_epoch());
  EXPECT_TRUE(kernel->settler.sweep(now + 4s));
  EXPECT_TRUE(kernel->settler.sweep(now + 8s));
  healthy_handshake([] {});
  EXPECT_EQ(counters().answered, 2) << "the flood's, which nobody answered, are back, too";
}

}  // namespace
}  // namespace hairpind::testing
