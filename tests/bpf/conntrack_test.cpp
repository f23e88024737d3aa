// SPDX-License-Identifier: Apache-2.0
// The conntrack tables that userspace asks: the kernel's over netlink, and maps laid out as Cilium's. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "bpf_runner.hpp"
#include "cilium_maps.hpp"
#include "hairpind/net/cilium_conntrack.hpp"
#include "hairpind/net/ctnetlink.hpp"
#include "packet_builder.hpp"

namespace hairpind::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Addresses {
  const char* client;
  const char* target;
  const char* lb;
  const char* node;
};
constexpr Addresses kV4{"10.0.1.10", "10.0.1.20", "10.0.5.5", "10.0.0.4"};
constexpr Addresses kV6{"fd00:1::10", "fd00:1::20", "fd00:5::5", "fd00::4"};

class ConntrackTest : public ::testing::TestWithParam<const Addresses*> {
 protected:
  [[nodiscard]] bool v4() const { return GetParam() == &kV4; }

  const Endpoint client{ip(GetParam()->client), 40000};
  const Endpoint lb{ip(GetParam()->lb), 443};
  const Endpoint target{ip(GetParam()->target), 8443};
  const Endpoint node_port{ip(GetParam()->node), 30443};
  const ConntrackQuery query{.client = client, .load_balancer = lb, .responder = target};
};

// --- netfilter, over netlink --------------------------------------------------------------------------------

class CtnetlinkTest : public ConntrackTest {
 protected:
  static void SetUpTestSuite() { why_not() = enter_node_namespace(); }
  void SetUp() override {
    if (!why_not().empty()) {
      GTEST_SKIP() << why_not();
    }
  }
  static std::string& why_not() {
    static std::string reason;
    return reason;
  }

  Conntrack lookup(const ConntrackQuery& asked) {
    const auto found = ctnetlink.lookup(asked);
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(Conntrack::kUnchecked);
  }

  Ctnetlink ctnetlink;
};
INSTANTIATE_TEST_SUITE_P(Families, CtnetlinkTest, ::testing::Values(&kV4, &kV6),
                         [](const auto& parameter) { return parameter.param == &kV4 ? "ipv4" : "ipv6"; });

TEST_P(CtnetlinkTest, AnswersFromTheEntryOfClientToLoadBalancer) {
  const auto from_port = [&](std::uint16_t port) {
    ConntrackQuery asked = query;
    asked.client.port = port;
    return asked;
  };
  const auto translated = from_port(41000);
  add_conntrack_entry(translated.client, lb, target);
  // The client's own entry, and the one that the hairpinned SYN makes, which matches the bad SYN-ACK.
  const auto hairpin = from_port(41001);
  add_conntrack_entry(hairpin.client, lb, lb);
  add_conntrack_entry(hairpin.client, target, target);
  const auto to_another = from_port(41002);
  add_conntrack_entry(to_another.client, lb, node_port);
  const auto to_another_port = from_port(41003);
  add_conntrack_entry(to_another_port.client, lb, {target.address, 8444});
  const auto to_the_target_only = from_port(41004);
  add_conntrack_entry(to_the_target_only.client, target, target);

  // One socket for all: an answer left over from one question would be taken for the next.
  for (int round = 0; round < 3; round++) {
    EXPECT_EQ(lookup(translated), Conntrack::kTranslated);
    EXPECT_EQ(lookup(hairpin), Conntrack::kNotTranslated);
    EXPECT_EQ(lookup(to_another), Conntrack::kNotTranslated);
    EXPECT_EQ(lookup(to_another_port), Conntrack::kNotTranslated);
    EXPECT_EQ(lookup(to_the_target_only), Conntrack::kNoEntry) << "the hairpin's own entry is no answer";
    EXPECT_EQ(lookup(from_port(41005)), Conntrack::kNoEntry);
  }
}

// --- Cilium -------------------------------------------------------------------------------------------------

class CiliumConntrackTest : public ConntrackTest {
 protected:
  void SetUp() override {
    if (!filesystem.unavailable().empty()) {
      GTEST_SKIP() << filesystem.unavailable();
    }
  }

  Conntrack lookup() const {
    const auto found = cilium.lookup(query);
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(Conntrack::kUnchecked);
  }

  const BpfFilesystem filesystem;
  CiliumConntrack cilium{{"/nonexistent", filesystem.root()}};
};
INSTANTIATE_TEST_SUITE_P(Families, CiliumConntrackTest, ::testing::Values(&kV4, &kV6),
                         [](const auto& parameter) { return parameter.param == &kV4 ? "ipv4" : "ipv6"; });

TEST_P(CiliumConntrackTest, AnswersFromTheEntriesThatCiliumWrites) {
  struct Case {
    const char* description;
    std::function<void(const CiliumMap&)> fill;
    Conntrack expected;
  };
  const std::vector<Case> cases{
      {"nothing", [](const CiliumMap&) {}, Conntrack::kNoEntry},
      {"a service, balanced at the client", [&](const CiliumMap& map) { map.add_balanced(client, lb, target); },
       Conntrack::kTranslated},
      {"its OUT entry alone", [&](const CiliumMap& map) { map.add_out(client, target, {.rev_nat_index = 1}); },
       Conntrack::kTranslated},
      {"its SERVICE entry alone",
       [&](const CiliumMap& map) { map.add_service(client, lb, {.rev_nat_index = 1, .backend_id = 1}); },
       Conntrack::kTranslated},
      {"a service, balanced to another backend",
       [&](const CiliumMap& map) { map.add_out(client, node_port, {.rev_nat_index = 1}); }, Conntrack::kNoEntry},
      {"a hairpin with no OUT entry for the target", [&](const CiliumMap& map) { map.add_hairpin(client, lb, target); },
       Conntrack::kNotTranslated},
      {"the target's entry alone", [&](const CiliumMap& map) { map.add_in(client, target); }, Conntrack::kNoEntry},
      {"the IN entry that the bad SYN-ACK makes itself", [&](const CiliumMap& map) { map.add_in(target, client); },
       Conntrack::kNoEntry},
      {"a hairpin and its SYN-ACK",
       [&](const CiliumMap& map) {
         map.add_hairpin(client, lb, target);
         map.add_in(target, client);
       },
       Conntrack::kNotTranslated},
      {"a hairpin by a node port that Cilium serves",
       [&](const CiliumMap& map) { map.add_node_port_hairpin(client, lb, node_port, target); },
       Conntrack::kNotTranslated},
      {"its OUT entry alone",
       [&](const CiliumMap& map) { map.add_out(client, target, {.node_port = true, .rev_nat_index = 1}); },
       Conntrack::kNotTranslated},
      {"an earlier connection to the target itself, from the same port",
       [&](const CiliumMap& map) { map.add_out(client, target); }, Conntrack::kNotTranslated},
      {"the other way round", [&](const CiliumMap& map) { map.add_out(target, client, {.rev_nat_index = 1}); },
       Conntrack::kNoEntry},
      {"another client port", [&](const CiliumMap& map) { map.add_balanced({client.address, 40001}, lb, target); },
       Conntrack::kNoEntry},
      {"a service entry of another port of the load balancer",
       [&](const CiliumMap& map) { map.add_service(client, {lb.address, 444}, {.rev_nat_index = 1}); },
       Conntrack::kNoEntry},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.description);
    const CiliumMap map(v4());
    test.fill(map);
    map.pin(filesystem);
    EXPECT_THAT(cilium.refresh().opened, ElementsAre(filesystem.pin(v4())));
    EXPECT_EQ(lookup(), test.expected);
    filesystem.unpin(v4());
  }
}

TEST_P(CiliumConntrackTest, MayBeAbsentAndComeLaterAndBeReplacedAndGo) {
  const PinChanges before = cilium.refresh();
  EXPECT_THAT(before.opened, IsEmpty());
  EXPECT_THAT(before.refused, IsEmpty()) << "no Cilium here is nothing to complain of";
  EXPECT_FALSE(cilium.present());
  EXPECT_EQ(lookup(), Conntrack::kUnchecked);

  const CiliumMap first(v4());
  first.pin(filesystem);
  EXPECT_THAT(cilium.refresh().opened, ElementsAre(filesystem.pin(v4())));
  EXPECT_TRUE(cilium.covers(client.address));
  EXPECT_FALSE(cilium.covers(ip(v4() ? "::1" : "127.0.0.1"))) << "one family's map says nothing of the other";
  EXPECT_EQ(lookup(), Conntrack::kNoEntry);
  EXPECT_THAT(cilium.refresh().opened, IsEmpty()) << "opened once";

  // Cilium's agent makes a new map when its properties change; the datapath uses that one from then on.
  const CiliumMap second(v4());
  filesystem.unpin(v4());
  second.pin(filesystem);
  second.add_balanced(client, lb, target);
  EXPECT_THAT(cilium.refresh().opened, ElementsAre(filesystem.pin(v4())));
  EXPECT_EQ(lookup(), Conntrack::kTranslated);

  filesystem.unpin(v4());
  EXPECT_THAT(cilium.refresh().gone, ElementsAre(filesystem.pin(v4())));
  EXPECT_FALSE(cilium.present());
  EXPECT_EQ(lookup(), Conntrack::kUnchecked);
  EXPECT_THAT(cilium.refresh().gone, IsEmpty());
}

TEST_P(CiliumConntrackTest, AnotherShapeIsRefusedOnceAndNeverAsked) {
  const CiliumMap larger = CiliumMap::with_value_size(v4(), 64);
  larger.pin(filesystem);
  const PinChanges changes = cilium.refresh();
  EXPECT_THAT(changes.opened, IsEmpty());
  ASSERT_EQ(changes.refused.size(), 1);
  EXPECT_THAT(changes.refused[0], HasSubstr(filesystem.pin(v4())));
  EXPECT_THAT(changes.refused[0],
              HasSubstr(v4() ? "keys of 14 and values of 64 bytes" : "keys of 38 and values of 64"));
  EXPECT_TRUE(cilium.covers(client.address)) << "Cilium is there, and may have translated";
  EXPECT_EQ(lookup(), Conntrack::kUnchecked);
  EXPECT_THAT(cilium.refresh().refused, IsEmpty());

  filesystem.unpin(v4());
  CiliumMap(v4()).pin(filesystem);
  EXPECT_THAT(cilium.refresh().opened, ElementsAre(filesystem.pin(v4())));
  EXPECT_EQ(lookup(), Conntrack::kNoEntry);
}

// IPv4's map where IPv6's should be.
TEST_P(CiliumConntrackTest, KeysOfAnotherSizeAreRefused) {
  const CiliumMap other(!v4());
  other.pin(filesystem);
  ASSERT_EQ(rename(filesystem.pin(!v4()).c_str(), filesystem.pin(v4()).c_str()), 0);
  EXPECT_EQ(cilium.refresh().refused.size(), 1);
  EXPECT_EQ(lookup(), Conntrack::kUnchecked);
}

}  // namespace
}  // namespace hairpind::testing
