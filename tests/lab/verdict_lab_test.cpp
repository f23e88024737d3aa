// SPDX-License-Identifier: Apache-2.0
// One cell a datapath shape: real servers, real sockets, the real agent, one right verdict. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "agent_process.hpp"
#include "lab_test.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;

struct Family {
  const char* name;
  const char* client;
  const char* target;
  const char* remote_target;
  const char* node;
  const char* lb;
  const char* cluster_ip;
  const char* lb_label;
  const char* cluster_ip_label;
};
constexpr Family kV4{.name = "V4",
                     .client = "10.0.1.10",
                     .target = "10.0.1.20",
                     .remote_target = "10.0.9.9",
                     .node = "10.0.0.4",
                     .lb = "10.0.5.5",
                     .cluster_ip = "10.96.0.1",
                     .lb_label = "10.0.5.5:443",
                     .cluster_ip_label = "10.96.0.1:443"};
constexpr Family kV6{.name = "V6",
                     .client = "fd00:1::10",
                     .target = "fd00:1::20",
                     .remote_target = "fd00:9::9",
                     .node = "fd00::4",
                     .lb = "fd00:5::5",
                     .cluster_ip = "fd00:96::1",
                     .lb_label = "[fd00:5::5]:443",
                     .cluster_ip_label = "[fd00:96::1]:443"};

// GoogleTest prints parameters byte by byte without it.
void PrintTo(const Family& family, std::ostream* out) {
  *out << family.name;
}

class VerdictTest : public LabTest {
 protected:
  void start_agent(const std::string& handshake_timeout = "1") {
    agent = std::make_unique<AgentProcess>(
        lab(), std::vector<std::string>{"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443", "--lb", "10.96.0.1:443",
                                        "--lb", "[fd00:96::1]:443", "--node-name", "lab-node", "--handshake-timeout",
                                        handshake_timeout});
    ASSERT_TRUE(agent->wait_until_ready());
    EXPECT_EQ(agent->metric("hairpind_interfaces_attached{hook=\"from_pod\",mode=\"tcx\"}"), 2);
    EXPECT_EQ(agent->metric("hairpind_interfaces_attached{hook=\"from_net\",mode=\"tcx\"}"), 1);
  }

  double handshakes(const std::string& lb, const std::string& result) const {
    return agent->metric("hairpind_handshakes_total{lb=\"" + lb + "\",result=\"" + result + "\"}");
  }

  std::unique_ptr<AgentProcess> agent;
};

// --- misdirected ------------------------------------------------------------------------------------------

struct Hairpin {
  const char* mode;
  const char* cause;
  const char* Family::* responder;
  int responder_port;
  const char* kind;
  bool backend_seen;  ///< the target is a pod of this node
  const char* conntrack;
  bool returned;
  const char* outcome = "reset_by_client";
  const char* drop_reason = nullptr;
  const char* from = "p1";  ///< or "node": a client that is the node itself
};

constexpr Hairpin kHairpins[] = {
    {"ip-target", "hairpin_ip_target", &Family::target, 8443, "local_pod", true, "no_entry", true},
    {"ip-target-conntrack", "hairpin_ip_target", &Family::target, 8443, "local_pod", true, "not_translated", true},
    {"node-port", "hairpin_node_port", &Family::node, 30443, "node", true, "not_translated", true},
    {"node-port-stateless", "hairpin_node_port", &Family::node, 30443, "node", true, "no_entry", true},
    {"node-port-masquerade", "hairpin_node_port", &Family::node, 30443, "node", true, "unchecked", true},
    {"node-port-remote", "hairpin_node_port", &Family::node, 30443, "node", false, "unchecked", true},
    {"host-target", "hairpin_host_target", &Family::node, 8443, "node", false, "unchecked", true},
    {"ip-target-policy", "hairpin_ip_target", &Family::target, 8443, "local_pod", true, "no_entry", true, "dropped",
     "NETFILTER_DROP"},
    {"remote-direct", "asymmetric_remote", &Family::remote_target, 8443, "remote", false, "unchecked", false},
};

void PrintTo(const Hairpin& cell, std::ostream* out) {
  *out << cell.mode;
}

// IPv6 has no martian check: the target's answer gets as far as the node, whose own stack refuses it.
constexpr Hairpin kHairpinsV6[] = {
    {"snat-egress", "hairpin_ip_target", &Family::target, 8443, "local_pod", true, "unchecked", true},
    {"ip-target", "hairpin_ip_target", &Family::target, 8443, "local_pod", true, "no_entry", true, "reset_by_client",
     nullptr, "node"},
};

class HairpinCell : public VerdictTest, public ::testing::WithParamInterface<std::tuple<Hairpin, Family>> {};

TEST_P(HairpinCell, IsNamedOnceAndCountedExactly) {
  const auto& [cell, family] = GetParam();
  constexpr int kConnections = 20;
  lab().set_mode(cell.mode);
  start_agent();

  std::unique_ptr<PendingConnections> connections;
  lab().inside(cell.from, [&] { connections = std::make_unique<PendingConnections>(family.lb, 443, kConnections); });
  const std::string mismatches =
      "hairpind_mismatches_total{lb=\"" + std::string(family.lb_label) + "\",cause=\"" + cell.cause + "\"}";
  EXPECT_TRUE(eventually([&] { return agent->metric(mismatches) == kConnections; }))
      << agent->get("/metrics").second << agent->standard_error();
  // The retransmits belong to the attempts they repeat.
  EXPECT_TRUE(eventually([&] { return agent->metric_sum("hairpind_syn_retransmits_total") >= kConnections; }));
  EXPECT_EQ(connections->established(), 0) << "the lab's failure must be a real one";
  EXPECT_EQ(agent->metric(mismatches), kConnections);
  EXPECT_EQ(agent->metric_sum("hairpind_mismatches_total"), kConnections);
  EXPECT_EQ(agent->metric_sum("hairpind_syns_total"), kConnections);
  EXPECT_EQ(handshakes(family.lb_label, "mismatched"), kConnections);
  EXPECT_EQ(agent->metric_sum("hairpind_handshakes_total"), kConnections);
  EXPECT_EQ(agent->metric_sum("hairpind_events_lost_total"), 0);

  ASSERT_TRUE(eventually([&] { return !agent->alerts().empty(); }));
  const auto alerts = agent->alerts();
  ASSERT_EQ(alerts.size(), 1) << Json(alerts).dump(1);
  const Json& alert = alerts[0];
  EXPECT_EQ(alert["event"], "asymmetric_handshake");
  EXPECT_EQ(alert["node"], "lab-node");
  EXPECT_EQ(alert["severity"], "critical");
  EXPECT_EQ(alert["cause"], cell.cause);
  const bool from_pod = cell.from == std::string("p1");
  EXPECT_EQ(alert["client"]["ip"], from_pod ? family.client : family.node);
  EXPECT_EQ(alert["load_balancer"], Json({{"ip", family.lb}, {"port", 443}}));
  EXPECT_EQ(alert["responder"],
            Json({{"ip", family.*cell.responder}, {"port", cell.responder_port}, {"kind", cell.kind}}));
  EXPECT_EQ(alert["backend"], cell.backend_seen ? Json({{"ip", family.target}, {"port", 8443}}) : Json(nullptr));
  EXPECT_EQ(alert["outcome"]["state"], cell.outcome);
  EXPECT_EQ(alert["outcome"]["drop_reason"], cell.drop_reason == nullptr ? Json(nullptr) : Json(cell.drop_reason));
  EXPECT_EQ(alert["outcome"]["drop_location"].is_null(), cell.drop_reason == nullptr);
  const Json& evidence = alert["evidence"];
  EXPECT_EQ(evidence["isn_match"], true);
  EXPECT_EQ(evidence["returned_syn"], cell.returned);
  EXPECT_EQ(evidence["syn_interface"], from_pod ? "veth1" : "eth0");
  EXPECT_EQ(evidence["synack_interface"], cell.backend_seen ? "veth2" : "veth1");
  EXPECT_EQ(evidence["conntrack"], cell.conntrack);
  EXPECT_THAT(alert["message"].get<std::string>(), ::testing::HasSubstr(family.lb));
}

constexpr auto kCellName = [](const auto& info) {
  std::string name = std::string(std::get<0>(info.param).mode) + "_" + std::get<1>(info.param).name;
  std::ranges::replace(name, '-', '_');
  return name;
};
INSTANTIATE_TEST_SUITE_P(Lab, HairpinCell,
                         ::testing::Combine(::testing::ValuesIn(kHairpins), ::testing::Values(kV4, kV6)), kCellName);

INSTANTIATE_TEST_SUITE_P(LabV6, HairpinCell,
                         ::testing::Combine(::testing::ValuesIn(kHairpinsV6), ::testing::Values(kV6)), kCellName);

// --- misdirected, and the kernel refuses the SYN that comes back: IPv4 only --------------------------------

struct RefusedSyn {
  const char* name;
  const char* mode;
  const char* from;
  const char* client;
  const char* cause;
  const char* drop_reason;
};

constexpr RefusedSyn kRefusedSyns[] = {
    {"snat_egress", "snat-egress", "p1", "10.0.1.10", "hairpin_martian", "IP_LOCAL_SOURCE"},
    {"host_client", "ip-target", "node", "10.0.0.4", "hairpin_martian", "IP_LOCAL_SOURCE"},
    {"host_client_node_port", "node-port", "node", "10.0.0.4", "hairpin_martian", "IP_LOCAL_SOURCE"},
    {"rp_filter", "rp-filter", "p1", "10.0.1.10", "hairpin_rp_filter", "IP_RPFILTER"},
};

void PrintTo(const RefusedSyn& cell, std::ostream* out) {
  *out << cell.name;
}

class RefusedSynCell : public VerdictTest, public ::testing::WithParamInterface<RefusedSyn> {};

TEST_P(RefusedSynCell, IsNamedThoughNobodyEverAnswers) {
  const RefusedSyn& cell = GetParam();
  constexpr int kConnections = 20;
  lab().set_mode(cell.mode);
  start_agent();
  std::unique_ptr<PendingConnections> connections;
  lab().inside(cell.from, [&] { connections = std::make_unique<PendingConnections>(kV4.lb, 443, kConnections); });
  const std::string mismatches =
      "hairpind_mismatches_total{lb=\"10.0.5.5:443\",cause=\"" + std::string(cell.cause) + "\"}";
  EXPECT_TRUE(eventually([&] { return agent->metric(mismatches) == kConnections; })) << agent->get("/metrics").second;
  EXPECT_TRUE(eventually([&] { return agent->metric_sum("hairpind_syn_retransmits_total") >= kConnections; }));
  EXPECT_EQ(agent->metric_sum("hairpind_mismatches_total"), kConnections);
  EXPECT_EQ(agent->metric_sum("hairpind_syns_total"), kConnections);
  ASSERT_TRUE(eventually([&] { return !agent->alerts().empty(); }));
  const auto alerts = agent->alerts();
  ASSERT_EQ(alerts.size(), 1) << Json(alerts).dump(1);
  EXPECT_EQ(alerts[0]["cause"], cell.cause);
  EXPECT_EQ(alerts[0]["client"]["ip"], cell.client);
  EXPECT_TRUE(alerts[0]["responder"].is_null());
  EXPECT_TRUE(alerts[0]["backend"].is_null());
  EXPECT_EQ(alerts[0]["evidence"]["returned_syn"], true);
  EXPECT_EQ(alerts[0]["outcome"]["state"], "dropped");
  EXPECT_EQ(alerts[0]["outcome"]["drop_reason"], cell.drop_reason);
}

INSTANTIATE_TEST_SUITE_P(Lab, RefusedSynCell, ::testing::ValuesIn(kRefusedSyns),
                         [](const auto& cell) { return std::string(cell.param.name); });

// --- legitimate -------------------------------------------------------------------------------------------

struct Legitimate {
  const char* mode;
  const char* Family::* destination;
  int port;
  const char* Family::* label;  ///< of the load balancer that answers; null: none is involved
  bool translated_here;
};

constexpr Legitimate kLegitimate[] = {
    {"lb-snat", &Family::lb, 443, &Family::lb_label, false},
    {"remote-target", &Family::lb, 443, &Family::lb_label, false},
    {"node-dnat", &Family::lb, 443, &Family::lb_label, true},
    {"cluster-ip", &Family::cluster_ip, 443, &Family::cluster_ip_label, true},
    {"policy-routed", &Family::lb, 443, &Family::lb_label, false},
    {"ip-target", &Family::target, 8443, nullptr, false},  // pod to pod, past every load balancer
};

void PrintTo(const Legitimate& cell, std::ostream* out) {
  *out << cell.mode;
}

class LegitimateCell : public VerdictTest, public ::testing::WithParamInterface<std::tuple<Legitimate, Family>> {};

TEST_P(LegitimateCell, StaysSilentOverHundredsOfConnections) {
  const auto& [cell, family] = GetParam();
  constexpr int kConnections = 300;
  lab().set_mode(cell.mode);
  start_agent();

  int complete = 0;
  lab().inside("p1", [&] { complete = complete_requests(family.*cell.destination, cell.port, kConnections); });
  EXPECT_EQ(complete, kConnections) << "the lab's legitimate traffic must work";
  if (cell.label != nullptr) {
    const std::string lb = family.*cell.label;
    EXPECT_TRUE(eventually([&] { return handshakes(lb, "answered") == kConnections; }))
        << agent->get("/metrics").second;
    EXPECT_EQ(agent->metric("hairpind_syns_total{lb=\"" + lb + "\"}"), kConnections);
    EXPECT_EQ(agent->metric("hairpind_legitimate_translations_total{lb=\"" + lb + "\"}"),
              cell.translated_here ? kConnections : 0);
  } else {
    EXPECT_EQ(agent->metric_sum("hairpind_syns_total"), 0);
  }
  // Whatever was only suspected has been settled when nothing is pending.
  EXPECT_TRUE(eventually([&] { return agent->metric("hairpind_pending_syns") == 0; }));
  EXPECT_EQ(agent->metric_sum("hairpind_mismatches_total"), 0);
  EXPECT_EQ(agent->metric("hairpind_events_total"), 0) << "healthy traffic must cost no event";
  EXPECT_EQ(agent->metric_sum("hairpind_spoofed_sources_total"), 0);
  EXPECT_THAT(agent->alerts(), ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Lab, LegitimateCell,
                         ::testing::Combine(::testing::ValuesIn(kLegitimate), ::testing::Values(kV4, kV6)), kCellName);

// A packet lost on the way to the target or to the LB's fabric is no verdict: its retransmit arrives.
struct Lossy {
  const char* mode;
};

constexpr Lossy kLossy[] = {{"policy-routed-syn-loss"}, {"policy-routed-synack-loss"}};

void PrintTo(const Lossy& cell, std::ostream* out) {
  *out << cell.mode;
}

class LossyCell : public VerdictTest, public ::testing::WithParamInterface<std::tuple<Lossy, Family>> {};

TEST_P(LossyCell, StaysSilentWhenTheRetransmitIsAnswered) {
  const auto& [cell, family] = GetParam();
  constexpr int kConnections = 20;
  lab().set_mode(cell.mode);
  start_agent("5");
  std::unique_ptr<PendingConnections> connections;
  lab().inside("p1", [&] { connections = std::make_unique<PendingConnections>(family.lb, 443, kConnections); });
  EXPECT_TRUE(eventually([&] { return connections->established() == kConnections; }));
  EXPECT_TRUE(eventually([&] { return handshakes(family.lb_label, "answered") == kConnections; }))
      << agent->get("/metrics").second;
  EXPECT_EQ(agent->metric_sum("hairpind_mismatches_total"), 0);
  EXPECT_EQ(agent->metric("hairpind_events_total"), 0);
  EXPECT_THAT(agent->alerts(), ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Lab, LossyCell, ::testing::Combine(::testing::ValuesIn(kLossy), ::testing::Values(kV4, kV6)),
                         kCellName);

// --- the load balancer itself fails: counted, and no business of an alert ----------------------------------

struct Failing {
  const char* mode;
  const char* result;
};

constexpr Failing kFailing[] = {{"silent", "unanswered"}, {"refuse", "refused"}};

void PrintTo(const Failing& cell, std::ostream* out) {
  *out << cell.mode;
}

class FailingCell : public VerdictTest, public ::testing::WithParamInterface<std::tuple<Failing, Family>> {};

TEST_P(FailingCell, IsCountedWithoutAlert) {
  const auto& [cell, family] = GetParam();
  constexpr int kConnections = 20;
  lab().set_mode(cell.mode);
  start_agent();
  std::unique_ptr<PendingConnections> connections;
  lab().inside("p1", [&] { connections = std::make_unique<PendingConnections>(family.lb, 443, kConnections); });
  EXPECT_TRUE(eventually([&] { return handshakes(family.lb_label, cell.result) == kConnections; }))
      << agent->get("/metrics").second;
  EXPECT_EQ(agent->metric_sum("hairpind_handshakes_total"), kConnections);
  EXPECT_EQ(agent->metric_sum("hairpind_mismatches_total"), 0);
  EXPECT_EQ(agent->metric("hairpind_events_total"), 0);
  EXPECT_THAT(agent->alerts(), ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Lab, FailingCell,
                         ::testing::Combine(::testing::ValuesIn(kFailing), ::testing::Values(kV4, kV6)), kCellName);

}  // namespace
}  // namespace hairpind::testing
