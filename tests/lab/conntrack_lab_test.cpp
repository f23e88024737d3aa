// SPDX-License-Identifier: Apache-2.0
// The veto where the kernel side cannot ask: ctnetlink, and Cilium's maps. Real sockets, the real agent. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent_process.hpp"
#include "cilium_maps.hpp"
#include "lab_test.hpp"
#include "redirect_abi.h"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kConnections = 10;

struct Family {
  const char* name;
  bool v4;
  const char* client;
  const char* target;
  const char* node;
  const char* lb;
  const char* lb_label;
  const char* cluster_ip;
};
constexpr Family kV4{.name = "V4",
                     .v4 = true,
                     .client = "10.0.1.10",
                     .target = "10.0.1.20",
                     .node = "10.0.0.4",
                     .lb = "10.0.5.5",
                     .lb_label = "10.0.5.5:443",
                     .cluster_ip = "10.96.0.1"};
constexpr Family kV6{.name = "V6",
                     .v4 = false,
                     .client = "fd00:1::10",
                     .target = "fd00:1::20",
                     .node = "fd00::4",
                     .lb = "fd00:5::5",
                     .lb_label = "[fd00:5::5]:443",
                     .cluster_ip = "fd00:96::1"};

// GoogleTest prints parameters byte by byte without it.
void PrintTo(const Family& family, std::ostream* out) {
  *out << family.name;
}

Endpoint endpoint(const char* address, int port) {
  return {.address = IpAddress::parse(address).value(), .port = static_cast<std::uint16_t>(port)};
}

class ConntrackLabTest : public LabTest {
 protected:
  void start_agent(const std::vector<std::string>& options) {
    std::vector<std::string> arguments{"--lb",
                                       "10.0.5.5:443",
                                       "--lb",
                                       "[fd00:5::5]:443",
                                       "--lb",
                                       "10.96.0.1:443",
                                       "--lb",
                                       "[fd00:96::1]:443",
                                       "--handshake-timeout",
                                       "1"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    agent = std::make_unique<AgentProcess>(lab(), arguments);
    ASSERT_TRUE(agent->wait_until_ready());
  }

  // Ports of their own for each test's connections: the target still holds the half-open ones of the test before.
  static int take_ports() {
    static int next = 20000;
    next += kConnections;
    return next;
  }

  static std::unique_ptr<PendingConnections> connect(const Family& family, int first_port = take_ports()) {
    std::unique_ptr<PendingConnections> connections;
    lab().inside("p1",
                 [&] { connections = std::make_unique<PendingConnections>(family.lb, 443, kConnections, first_port); });
    return connections;
  }

  void expect_one_alert(const std::string& conntrack, const std::string& source) const {
    EXPECT_TRUE(eventually([&] { return agent->metric_sum("hairpind_mismatches_total") == kConnections; }))
        << agent->get("/metrics").second << agent->standard_error();
    ASSERT_TRUE(eventually([&] { return !agent->alerts().empty(); }));
    const auto alerts = agent->alerts();
    ASSERT_EQ(alerts.size(), 1) << Json(alerts).dump(1);
    EXPECT_EQ(alerts[0]["evidence"]["conntrack"], conntrack) << agent->standard_error();
    EXPECT_EQ(alerts[0]["evidence"]["conntrack_source"], source);
    EXPECT_EQ(agent->metric_sum("hairpind_legitimate_translations_total"), 0);
  }

  // All attempts so far, retransmits after the verdict among them, are found legitimate, and nothing else is.
  void expect_silence_by_translation(const Family& family, std::unique_ptr<PendingConnections> connections,
                                     int attempts = kConnections) const {
    const std::string label = "{lb=\"" + std::string(family.lb_label) + "\"}";
    EXPECT_TRUE(eventually([&] { return agent->metric("hairpind_legitimate_translations_total" + label) >= attempts; }))
        << agent->get("/metrics").second << agent->standard_error();
    EXPECT_EQ(connections->established(), 0) << "an answer that arrives would clear the attempts without the veto";
    connections.reset();
    EXPECT_TRUE(eventually([&] { return agent->metric("hairpind_pending_syns") == 0; }));
    EXPECT_EQ(agent->metric_sum("hairpind_mismatches_total"), 0) << agent->get("/metrics").second;
    EXPECT_THAT(agent->alerts(), IsEmpty());
  }

  std::unique_ptr<AgentProcess> agent;
};

constexpr auto kCellName = [](const auto& info) {
  std::string name = std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param).name;
  std::ranges::replace(name, '-', '_');
  return name;
};

// --- ctnetlink ----------------------------------------------------------------------------------------------

struct NetlinkHairpin {
  const char* name;  ///< the lab's mode
  const char* conntrack;
};

constexpr NetlinkHairpin kNetlinkHairpins[] = {
    {"ip-target", "no_entry"},       {"ip-target-conntrack", "not_translated"},  {"ip-target-policy", "no_entry"},
    {"node-port", "not_translated"}, {"node-port-masquerade", "not_translated"}, {"host-target", "no_entry"},
};

void PrintTo(const NetlinkHairpin& cell, std::ostream* out) {
  *out << cell.name;
}

class NetlinkHairpinCell : public ConntrackLabTest,
                           public ::testing::WithParamInterface<std::tuple<NetlinkHairpin, Family>> {};

TEST_P(NetlinkHairpinCell, SaysWhatNetlinkSaid) {
  const auto& [cell, family] = GetParam();
  lab().set_mode(cell.name);
  start_agent({"--conntrack", "netlink"});
  EXPECT_TRUE(agent->logs("conntrack netlink")) << agent->standard_error();
  const auto connections = connect(family);
  expect_one_alert(cell.conntrack, "netlink");
}

INSTANTIATE_TEST_SUITE_P(Lab, NetlinkHairpinCell,
                         ::testing::Combine(::testing::ValuesIn(kNetlinkHairpins), ::testing::Values(kV4, kV6)),
                         kCellName);

struct NetlinkLegitimate {
  const char* name;  ///< the lab's mode
  const char* Family::* destination;
};

constexpr NetlinkLegitimate kNetlinkLegitimate[] = {
    {"node-dnat", &Family::lb}, {"cluster-ip", &Family::cluster_ip}, {"policy-routed", &Family::lb}};

void PrintTo(const NetlinkLegitimate& cell, std::ostream* out) {
  *out << cell.name;
}

class NetlinkLegitimateCell : public ConntrackLabTest,
                              public ::testing::WithParamInterface<std::tuple<NetlinkLegitimate, Family>> {};

TEST_P(NetlinkLegitimateCell, StaysSilentAtNoEvent) {
  const auto& [cell, family] = GetParam();
  constexpr int kRequests = 200;
  lab().set_mode(cell.name);
  start_agent({"--conntrack", "netlink"});
  int complete = 0;
  lab().inside("p1", [&] { complete = complete_requests(family.*cell.destination, 443, kRequests); });
  EXPECT_EQ(complete, kRequests) << "the lab's legitimate traffic must work";
  EXPECT_TRUE(eventually([&] { return agent->metric("hairpind_pending_syns") == 0; }));
  EXPECT_EQ(agent->metric_sum("hairpind_handshakes_total"), kRequests) << agent->get("/metrics").second;
  EXPECT_EQ(agent->metric_sum("hairpind_mismatches_total"), 0);
  EXPECT_EQ(agent->metric("hairpind_events_total"), 0) << "healthy traffic must cost no event";
  EXPECT_THAT(agent->alerts(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Lab, NetlinkLegitimateCell,
                         ::testing::Combine(::testing::ValuesIn(kNetlinkLegitimate), ::testing::Values(kV4, kV6)),
                         kCellName);

class ConntrackFamilyTest : public ConntrackLabTest, public ::testing::WithParamInterface<Family> {};
INSTANTIATE_TEST_SUITE_P(Lab, ConntrackFamilyTest, ::testing::Values(kV4, kV6),
                         [](const auto& parameter) { return parameter.param.name; });

// The answer is dropped, so that nothing but conntrack can tell that the node translated.
TEST_P(ConntrackFamilyTest, NetlinkAloneClearsATranslation) {
  lab().set_mode("node-dnat-policy");
  start_agent({"--conntrack", "netlink"});
  expect_silence_by_translation(GetParam(), connect(GetParam()));
}

// --- Cilium -------------------------------------------------------------------------------------------------

class CiliumLabTest : public ConntrackLabTest {
 protected:
  void SetUp() override {
    ConntrackLabTest::SetUp();
    if (!filesystem.unavailable().empty()) {
      GTEST_SKIP() << filesystem.unavailable();
    }
  }

  void start_agent_beside_cilium() { start_agent({"--cilium-bpffs", filesystem.root()}); }

  // One entry for each of the connections.
  static void for_each_client(const Family& family, int first_port, const std::function<void(const Endpoint&)>& add) {
    for (int i = 0; i < kConnections; i++) {
      add(endpoint(family.client, first_port + i));
    }
  }

  static void add_balanced(const CiliumMap& map, const Family& family, int first_port) {
    for_each_client(family, first_port, [&](const Endpoint& client) {
      map.add_balanced(client, endpoint(family.lb, 443), endpoint(family.target, 8443));
    });
  }

  const BpfFilesystem filesystem;
};

struct CiliumHairpin {
  const char* name;
  const char* mode;
  const char* conntrack;
  void (*fill)(const CiliumMap& map, const Family& family, const Endpoint& client);
};

constexpr CiliumHairpin kCiliumHairpins[] = {
    {"empty", "ip-target", "no_entry", [](const CiliumMap&, const Family&, const Endpoint&) {}},
    {"no_out_entry", "ip-target", "not_translated",
     [](const CiliumMap& map, const Family& family, const Endpoint& client) {
       map.add_hairpin(client, endpoint(family.lb, 443), endpoint(family.target, 8443));
     }},
    {"dropped", "ip-target-policy", "not_translated",
     [](const CiliumMap& map, const Family& family, const Endpoint& client) {
       map.add_hairpin(client, endpoint(family.lb, 443), endpoint(family.target, 8443));
     }},
    {"in_entry_of_the_synack", "ip-target", "no_entry",
     [](const CiliumMap& map, const Family& family, const Endpoint& client) {
       map.add_in(client, endpoint(family.target, 8443));
       map.add_in(endpoint(family.target, 8443), client);
     }},
    {"node_port_out_entry", "node-port-stateless", "not_translated",
     [](const CiliumMap& map, const Family& family, const Endpoint& client) {
       map.add_node_port_hairpin(client, endpoint(family.lb, 443), endpoint(family.node, 30443),
                                 endpoint(family.target, 8443));
     }},
};

void PrintTo(const CiliumHairpin& cell, std::ostream* out) {
  *out << cell.name;
}

class CiliumHairpinCell : public CiliumLabTest,
                          public ::testing::WithParamInterface<std::tuple<CiliumHairpin, Family>> {};

TEST_P(CiliumHairpinCell, SaysWhatCiliumsTableSaid) {
  const auto& [cell, family] = GetParam();
  lab().set_mode(cell.mode);
  const int first_port = take_ports();
  const CiliumMap map(family.v4);
  for_each_client(family, first_port, [&](const Endpoint& client) { cell.fill(map, family, client); });
  map.pin(filesystem);
  start_agent_beside_cilium();
  EXPECT_TRUE(agent->logs("conntrack kernel and cilium")) << agent->standard_error();
  const auto connections = connect(family, first_port);
  expect_one_alert(cell.conntrack, "cilium");
}

INSTANTIATE_TEST_SUITE_P(Lab, CiliumHairpinCell,
                         ::testing::Combine(::testing::ValuesIn(kCiliumHairpins), ::testing::Values(kV4, kV6)),
                         kCellName);

class CiliumFamilyTest : public CiliumLabTest, public ::testing::WithParamInterface<Family> {};
INSTANTIATE_TEST_SUITE_P(Lab, CiliumFamilyTest, ::testing::Values(kV4, kV6),
                         [](const auto& parameter) { return parameter.param.name; });

// The answer is dropped and netfilter knows nothing, so that nothing but Cilium's table can tell.
TEST_P(CiliumFamilyTest, ItsTableAloneClearsATranslation) {
  lab().set_mode("stateless-dnat-policy");
  const int first_port = take_ports();
  const CiliumMap map(GetParam().v4);
  add_balanced(map, GetParam(), first_port);
  map.pin(filesystem);
  start_agent_beside_cilium();
  expect_silence_by_translation(GetParam(), connect(GetParam(), first_port));
}

TEST_P(CiliumFamilyTest, ItsTableIsAskedWhereNetlinkFoundNoEntry) {
  lab().set_mode("stateless-dnat-policy");
  const int first_port = take_ports();
  const CiliumMap map(GetParam().v4);
  add_balanced(map, GetParam(), first_port);
  map.pin(filesystem);
  start_agent({"--conntrack", "netlink", "--cilium-bpffs", filesystem.root()});
  expect_silence_by_translation(GetParam(), connect(GetParam(), first_port));
}

// The same packets without the entries: what the veto is worth.
TEST_P(CiliumFamilyTest, WithoutEntriesTheSamePacketsAreAMismatch) {
  lab().set_mode("stateless-dnat-policy");
  const CiliumMap map(GetParam().v4);
  add_balanced(map, GetParam(), take_ports());
  map.pin(filesystem);
  start_agent_beside_cilium();
  const auto connections = connect(GetParam());
  expect_one_alert("no_entry", "cilium");
}

TEST_P(CiliumFamilyTest, ItsMapMayComeLaterAndBeReplaced) {
  lab().set_mode("stateless-dnat-policy");
  start_agent_beside_cilium();
  EXPECT_TRUE(agent->logs("no map of it under " + filesystem.root() + "/tc/globals now; waiting for one"));
  const int first_ports = take_ports();
  const CiliumMap first(GetParam().v4);
  add_balanced(first, GetParam(), first_ports);
  first.pin(filesystem);
  const std::string opened = "reading " + filesystem.pin(GetParam().v4);
  ASSERT_TRUE(agent->logs(opened));
  expect_silence_by_translation(GetParam(), connect(GetParam(), first_ports));
  const double before = agent->metric_sum("hairpind_legitimate_translations_total");

  const int second_ports = take_ports();
  const CiliumMap second(GetParam().v4);
  add_balanced(second, GetParam(), second_ports);
  filesystem.unpin(GetParam().v4);
  second.pin(filesystem);
  ASSERT_TRUE(eventually([&] {
    const std::string log = agent->standard_error();
    return log.find(opened) != log.rfind(opened);
  }));
  expect_silence_by_translation(GetParam(), connect(GetParam(), second_ports), static_cast<int>(before) + kConnections);
}

// Where the answers pass no hook of the client's device, and Cilium's map is there to be asked.
TEST(CiliumRedirectTest, HealthyConnectionsCostNoEventThereEither) {
  constexpr int kRequests = 200;
  const NetworkLab lab("redirect");
  const BpfFilesystem filesystem;
  for (const std::string& reason : {lab.unavailable(), filesystem.unavailable()}) {
    if (!reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }
  for (const Family& family : {kV4, kV6}) {
    CiliumMap(family.v4).pin(filesystem);
  }
  lab.set_mode("node-dnat");
  const AgentProcess agent(lab, {"--lb", kV4.lb_label, "--lb", kV6.lb_label, "--handshake-timeout", "5",
                                 "--cilium-bpffs", filesystem.root()});
  ASSERT_TRUE(agent.wait_until_ready());
  EXPECT_TRUE(agent.logs("conntrack kernel and cilium")) << agent.standard_error();
  for (const Family& family : {kV4, kV6}) {
    int complete = 0;
    lab.inside("p1", [&] { complete = complete_requests(family.lb, 443, kRequests); });
    EXPECT_EQ(complete, kRequests) << "the lab's legitimate traffic must work";
    EXPECT_TRUE(eventually([&] {
      return agent.metric("hairpind_handshakes_total{lb=\"" + std::string(family.lb_label) +
                          "\",result=\"answered\"}") == kRequests;
    })) << agent.get("/metrics").second;
  }
  EXPECT_TRUE(eventually([&] { return agent.metric("hairpind_pending_syns") == 0; }));
  EXPECT_EQ(agent.metric("hairpind_events_total"), 0) << "healthy traffic must cost no event";
  EXPECT_THAT(agent.alerts(), IsEmpty());
}

// What a policy dropped on its way into the client is decided by that, long before the settle time, and named.
TEST(CiliumRedirectTest, APolicyDropIsNamedAndConclusive) {
  const BpfFilesystem filesystem;
  for (const std::string datapath : {"redirect", "endpoint-tcx"}) {
    SCOPED_TRACE(datapath);
    const NetworkLab lab(datapath);
    for (const std::string& reason : {lab.unavailable(), filesystem.unavailable()}) {
      if (!reason.empty()) {
        GTEST_SKIP() << reason;
      }
    }
    for (const Family& family : {kV4, kV6}) {
      CiliumMap(family.v4).pin(filesystem);
    }
    lab.set_mode("ip-target-policy");
    const AgentProcess agent(lab, {"--lb", kV4.lb_label, "--lb", kV6.lb_label, "--handshake-timeout", "60",
                                   "--cilium-bpffs", filesystem.root()});
    ASSERT_TRUE(agent.wait_until_ready());
    std::vector<std::unique_ptr<PendingConnections>> clients;
    lab.inside("p1", [&] {
      for (const Family& family : {kV4, kV6}) {
        clients.push_back(std::make_unique<PendingConnections>(family.lb, 443, 1));
      }
    });
    EXPECT_TRUE(eventually([&] { return agent.alerts().size() == 2; })) << agent.get("/metrics").second;
    for (const auto& alert : agent.alerts()) {
      EXPECT_EQ(alert["cause"], "hairpin_ip_target");
      EXPECT_EQ(alert["outcome"]["state"], "dropped");
      EXPECT_EQ(alert["outcome"]["drop_reason"], "CILIUM_POLICY_DENIED");
      EXPECT_EQ(alert["outcome"]["cilium"]["source_identity"], RD_TARGET_IDENTITY);
      EXPECT_EQ(alert["outcome"]["cilium"]["destination_identity"], RD_CLIENT_IDENTITY);
      EXPECT_EQ(alert["outcome"]["cilium"]["endpoint"], RD_DESTINATION_ENDPOINT);
      EXPECT_THAT(alert["message"], HasSubstr("the kernel dropped the answer (CILIUM_POLICY_DENIED"));
      EXPECT_THAT(alert["hint"], HasSubstr("The policy drop is a symptom"));
    }
    for (const Family& family : {kV4, kV6}) {
      filesystem.unpin(family.v4);
    }
  }
}

// In a mount namespace of its own: the machine's bpffs is not the tests'.
TEST_F(CiliumLabTest, ItsMapsAreFoundInTheUsualPlaces) {
  for (const std::string root : {"/sys/fs/bpf", "/run/cilium/bpffs"}) {
    SCOPED_TRACE(root);
    const std::string out = filesystem.root() + "-check";
    const std::string script =
        "set -e; mount -t tmpfs tmpfs /run; mkdir -p /run/cilium/bpffs; mount -t bpf bpffs $0; mkdir -p $0/tc/globals; "
        "/usr/sbin/bpftool map create $0/tc/globals/cilium_ct6_global "
        "type lru_hash key 38 value 56 entries 16 name ct6; $1 check >$2 2>&1";
    EXPECT_EQ(run_command({"unshare", "--mount", "sh", "-c", script, root, HAIRPIND_BINARY, out}), 0);
    EXPECT_THAT(read_file(out), HasSubstr(root + "/tc/globals/cilium_ct6_global"));
    EXPECT_THAT(read_file(out), HasSubstr("conntrack kernel and cilium,"));
    std::filesystem::remove(out);
  }
}

TEST_P(CiliumFamilyTest, AMapOfAnotherShapeIsNotTrusted) {
  lab().set_mode("ip-target");
  CiliumMap::with_value_size(GetParam().v4, 64).pin(filesystem);
  start_agent_beside_cilium();
  EXPECT_TRUE(agent->logs("has not the shape of Cilium's conntrack"));
  const auto connections = connect(GetParam());
  expect_one_alert("unchecked", "none");
}

}  // namespace
}  // namespace hairpind::testing
