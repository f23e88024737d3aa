// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/alert_json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "alert_schema.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;
using testing::schema_violations;

Alert full_alert() {
  Alert alert;
  alert.time = WallTime(std::chrono::nanoseconds(1'763'882'424'239'725'999));
  alert.node = "n1";
  alert.incident = "5f0c000000000000";
  alert.cause = Cause::kHairpinIpTarget;
  alert.count = 9007199254740991;
  alert.message = "m";
  alert.hint = "h";
  alert.client = {.address = *IpAddress::parse("10.0.1.10"), .port = 37762};
  alert.load_balancer = {.address = *IpAddress::parse("fd00:5::5"), .port = 443};
  alert.responder = Endpoint{.address = *IpAddress::parse("10.0.1.20"), .port = 8443};
  alert.responder_kind = ResponderKind::kLocalPod;
  alert.backend = alert.responder;
  alert.syn_isn = 4294967295;
  alert.synack_ack = 0;
  alert.returned_syn = true;
  alert.syn_interface = "veth1";
  alert.synack_interface = "veth2";
  alert.syn_to_synack = std::chrono::microseconds(231);
  alert.conntrack = Conntrack::kNotTranslated;
  alert.conntrack_source = ConntrackSource::kKernel;
  alert.outcome = Outcome::kDropped;
  alert.drop_reason = "NETFILTER_DROP";
  alert.drop_location = "nf_hook_slow";
  return alert;
}

TEST(AlertJson, IsOneLineOfTheContract) {
  EXPECT_EQ(
      to_json(full_alert()),
      R"({"time":"2025-11-23T07:20:24.239725Z","severity":"critical","message":"m","schema":"hairpind.alert/v1",)"
      R"("event":"asymmetric_handshake","node":"n1","incident":"5f0c000000000000","cause":"hairpin_ip_target",)"
      R"("count":9007199254740991,"hint":"h","runbook":"https://hairpind.dev/docs/runbooks/hairpin_ip_target.md",)"
      R"("client":{"ip":"10.0.1.10","port":37762},"load_balancer":{"ip":"fd00:5::5","port":443},)"
      R"("responder":{"ip":"10.0.1.20","port":8443,"kind":"local_pod"},"backend":{"ip":"10.0.1.20","port":8443},)"
      R"("evidence":{"syn_isn":4294967295,"synack_ack":0,"isn_match":true,"returned_syn":true,"syn_interface":"veth1",)"
      R"("synack_interface":"veth2","syn_to_synack_us":231,"conntrack":"not_translated","conntrack_source":"kernel"},)"
      R"("outcome":{"state":"dropped","drop_reason":"NETFILTER_DROP","drop_location":"nf_hook_slow"}})");
}

TEST(AlertJson, WhatElseThanAServiceHasTheLoadBalancerIsCalledWhatItIs) {
  Alert alert = full_alert();
  const auto load_balancer = [&](const LoadBalancerRef& ref) {
    alert.load_balancer_service = ref;
    const std::string line = to_json(alert);
    EXPECT_EQ(schema_violations(line), "");
    Json json = Json::parse(line)["load_balancer"];
    json.erase("ip");
    json.erase("port");
    return json;
  };
  EXPECT_EQ(load_balancer({.namespace_name = "shop", .service = "api", .binding = "tgb", .target_group = "arn:1"}),
            Json::parse(R"({"service":"api","namespace":"shop","target_group_binding":"tgb","target_group":"arn:1"})"));
  EXPECT_EQ(load_balancer({.namespace_name = "shop", .service = "api", .kind = "Gateway"}),
            Json::parse(R"({"gateway":"api","namespace":"shop"})"));
  EXPECT_EQ(load_balancer({.namespace_name = "shop", .service = "api", .kind = "Ingress"}),
            Json::parse(R"({"ingress":"api","namespace":"shop"})"));
}

TEST(AlertJson, TheClientHasItsNodesZoneAndMachineWhereTheyAreKnown) {
  const auto client_of = [](const Alert& alert) { return Json::parse(to_json(alert))["client"]; };
  Alert alert = full_alert();
  EXPECT_FALSE(client_of(alert).contains("node_zone") || client_of(alert).contains("provider_id"));
  alert.node_zone = "eu-west-1a";
  EXPECT_EQ(client_of(alert)["node_zone"], "eu-west-1a");
  EXPECT_FALSE(client_of(alert).contains("provider_id"));
  alert.provider_id = "aws:///eu-west-1a/i-0abc";
  EXPECT_EQ(client_of(alert)["provider_id"], "aws:///eu-west-1a/i-0abc");
  EXPECT_EQ(schema_violations(to_json(alert)), "");
}

TEST(AlertJson, CiliumsIdentitiesComeWithTheLabelsThatAreKnown) {
  Alert alert = full_alert();
  alert.cilium_drop = CiliumDrop{.source_identity = 1001, .destination_identity = 2, .endpoint = 3, .reason = 133};
  EXPECT_EQ(Json::parse(to_json(alert))["outcome"]["cilium"],
            Json({{"source_identity", 1001}, {"destination_identity", 2}, {"endpoint", 3}}));
  alert.cilium_source_labels = {"k8s:app=\x1b[31mweb", "k8s:zone"};
  alert.cilium_destination_labels = {"reserved:world"};
  const std::string line = to_json(alert);
  EXPECT_EQ(schema_violations(line), "") << line;
  const Json cilium = Json::parse(line)["outcome"]["cilium"];
  EXPECT_EQ(cilium["source_labels"], Json::array({"k8s:app=\x1b[31mweb", "k8s:zone"}));
  EXPECT_EQ(cilium["destination_labels"], Json::array({"reserved:world"}));
  EXPECT_EQ(line.find('\x1b'), std::string::npos) << "escaped";
}

TEST(AlertJson, EveryCombinationIsValidAgainstThePublishedSchema) {
  for (std::uint8_t cause = HP_CAUSE_NONE + 1; cause < HP_CAUSE_COUNT; cause++) {
    for (std::uint8_t outcome = 0; outcome < HP_OUTCOME_COUNT; outcome++) {
      for (std::uint8_t conntrack = 0; conntrack < HP_CONNTRACK_COUNT; conntrack++) {
        Alert alert = full_alert();
        alert.event = AlertEvent::kAsymmetricHandshakeRepeated;
        alert.severity = Severity::kWarning;
        alert.cause = static_cast<Cause>(cause);
        alert.outcome = static_cast<Outcome>(outcome);
        alert.conntrack = static_cast<Conntrack>(conntrack);
        EXPECT_EQ(schema_violations(to_json(alert)), "");
      }
    }
  }
}

TEST(AlertJson, EachCauseHasItsRunbook) {
  for (std::uint8_t cause = HP_CAUSE_NONE + 1; cause < HP_CAUSE_COUNT; cause++) {
    Alert alert = full_alert();
    alert.cause = static_cast<Cause>(cause);
    const std::string runbook = Json::parse(to_json(alert))["runbook"];
    constexpr std::string_view kSite = "https://hairpind.dev/";
    ASSERT_TRUE(runbook.starts_with(kSite));
    EXPECT_TRUE(std::filesystem::exists(HAIRPIND_SOURCE_DIR "/" + runbook.substr(kSite.size()))) << runbook;
  }
}

TEST(AlertJson, SaysWhoNamesTheLoadBalancer) {
  for (const auto& [origin, word] :
       {std::pair{LoadBalancerOrigin::kService, "service"}, std::pair{LoadBalancerOrigin::kConfigured, "configured"},
        std::pair{LoadBalancerOrigin::kLearned, "learned"}}) {
    Alert alert = full_alert();
    EXPECT_FALSE(Json::parse(to_json(alert))["load_balancer"].contains("origin"));
    alert.load_balancer_origin = origin;
    EXPECT_EQ(Json::parse(to_json(alert))["load_balancer"]["origin"], word);
    EXPECT_EQ(schema_violations(to_json(alert)), "");
  }
}

TEST(AlertJson, TheLifeOfAProblemIsOfTheContract) {
  Alert alert = full_alert();
  alert.severity = Severity::kInfo;
  alert.event = AlertEvent::kAsymmetricHandshakeResolved;
  alert.problem = ProblemReport{.state = ProblemState::kFixed,
                                .opened = alert.time,
                                .last_mismatch = alert.time,
                                .mismatched = 20,
                                .answered = 33,
                                .proof = FixProof::kStatistical,
                                .run = 30,
                                .share = 0.5,
                                .chance = 0.0009765625,
                                .why = std::nullopt};
  Json json = Json::parse(to_json(alert));
  EXPECT_EQ(schema_violations(json.dump()), "");
  EXPECT_EQ(json["event"], "asymmetric_handshake_resolved");
  EXPECT_EQ(json["severity"], "info");
  EXPECT_EQ(json["proof"], "statistical");
  EXPECT_EQ(json["cause"], "hairpin_ip_target");
  EXPECT_TRUE(json["evidence"].is_null());
  EXPECT_EQ(json["problem"]["state"], "fixed");
  EXPECT_EQ(json["problem"]["run"], 30);
  EXPECT_EQ(json["problem"]["chance"], 0.0009765625);
  json.erase("proof");
  EXPECT_NE(schema_violations(json.dump()), "") << "nothing is resolved without proof";

  alert.event = AlertEvent::kAsymmetricHandshakeDormant;
  alert.problem->state = ProblemState::kDormant;
  alert.problem->proof.reset();
  alert.problem->why = Departure{.targets = true, .who = {"shop/api-1"}, .when = alert.time};
  json = Json::parse(to_json(alert));
  EXPECT_EQ(schema_violations(json.dump()), "");
  EXPECT_EQ(json["why"], Json::parse(R"({"left":"target","who":["shop/api-1"],"when":"2025-11-23T07:20:24.239725Z"})"));
  EXPECT_FALSE(json.contains("proof"));

  alert.event = AlertEvent::kAsymmetricHandshake;
  json = Json::parse(to_json(alert));
  EXPECT_EQ(schema_violations(json.dump()), "");
  EXPECT_EQ(json["reopened"], true);
  EXPECT_EQ(json["problem"]["mismatched"], 20);
  EXPECT_FALSE(json.contains("why"));
}

TEST(AlertJson, PacketsAreBase64AndSensorsAreWords) {
  Alert alert = full_alert();
  EXPECT_FALSE(Json::parse(to_json(alert)).contains("packets"));
  alert.event = AlertEvent::kAsymmetricHandshakeEvidence;
  alert.severity = Severity::kInfo;
  const WallTime time = alert.time;
  alert.packets = {
      {.time = time,
       .sensor = Sensor::kFromPod,
       .interface = "veth1",
       .length = 60,
       .data = {},
       .reason = {},
       .note = ""},
      {.time = time, .sensor = Sensor::kFromNet, .interface = {}, .length = 4, .data = {'A'}, .reason = {}, .note = ""},
      {.time = time,
       .sensor = Sensor::kToNet,
       .interface = {},
       .length = 4,
       .data = {0, 255},
       .reason = {},
       .note = ""},
      {.time = time,
       .sensor = Sensor::kToPod,
       .interface = {},
       .length = 4,
       .data = {1, 2, 3},
       .reason = {},
       .note = ""},
      {.time = time,
       .sensor = Sensor::kDrop,
       .interface = {},
       .length = 0,
       .data = {},
       .reason = "NETFILTER_DROP",
       .note = "n"},
      {.time = time, .sensor = Sensor::kReset, .interface = {}, .length = 0, .data = {}, .reason = {}, .note = "r"},
  };
  alert.packets[0].data.assign(HP_PACKET_DATA, 0x45);
  const std::string line = to_json(alert);
  EXPECT_EQ(schema_violations(line), "") << line;
  const Json packets = Json::parse(line)["packets"];
  ASSERT_EQ(packets.size(), 6);
  EXPECT_EQ(packets[0]["data"].get<std::string>().size(), 128);
  EXPECT_EQ(packets[0]["interface"], "veth1");
  EXPECT_EQ(packets[0]["length"], 60);
  EXPECT_EQ(packets[0]["time"], "2025-11-23T07:20:24.239725Z");
  EXPECT_EQ(packets[1], Json({{"time", "2025-11-23T07:20:24.239725Z"},
                              {"hook", "from_net"},
                              {"interface", nullptr},
                              {"length", 4},
                              {"data", "QQ=="}}));
  EXPECT_EQ(packets[2]["data"], "AP8=");
  EXPECT_EQ(packets[3]["data"], "AQID");
  EXPECT_EQ(packets[4], Json({{"time", "2025-11-23T07:20:24.239725Z"},
                              {"hook", "kfree_skb"},
                              {"interface", nullptr},
                              {"note", "n"},
                              {"reason", "NETFILTER_DROP"}}));
  EXPECT_EQ(packets[5]["hook"], "tcp_send_reset");
  EXPECT_EQ(packets[5]["note"], "r");
  EXPECT_FALSE(packets[5].contains("data"));

  alert.packets.clear();
  EXPECT_NE(schema_violations(to_json(alert)), "") << "no evidence without packets";
  Json other = Json::parse(line);
  other["event"] = "asymmetric_handshake";
  EXPECT_NE(schema_violations(other.dump()), "") << "nor packets without it";
  const auto without = [&](std::size_t packet, const char* key) {
    Json changed = Json::parse(line);
    changed["packets"][packet].erase(key);
    return schema_violations(changed.dump());
  };
  EXPECT_NE(without(0, "data"), "");
  EXPECT_NE(without(4, "note"), "");
}

TEST(AlertJson, WhatIsUnknownIsNull) {
  Alert alert = full_alert();
  alert.responder.reset();
  alert.backend.reset();
  alert.synack_ack.reset();
  alert.syn_interface.reset();
  alert.synack_interface.reset();
  alert.syn_to_synack.reset();
  alert.drop_reason.reset();
  alert.drop_location.reset();
  EXPECT_EQ(schema_violations(to_json(alert)), "");
  const Json json = Json::parse(to_json(alert));
  EXPECT_TRUE(json["responder"].is_null());
  EXPECT_TRUE(json["backend"].is_null());
  EXPECT_EQ(json["evidence"]["isn_match"], false);
  for (const char* const key : {"synack_ack", "syn_interface", "synack_interface", "syn_to_synack_us"}) {
    EXPECT_TRUE(json["evidence"][key].is_null()) << key;
  }
  EXPECT_TRUE(json["outcome"]["drop_reason"].is_null());
}

TEST(AlertJson, HostileNamesStayInsideTheirString) {
  Alert alert = full_alert();
  alert.node = "n\"1\n\xff\xfe{}";
  const std::string line = to_json(alert);
  EXPECT_THAT(line, ::testing::Not(::testing::HasSubstr("\n")));
  EXPECT_EQ(schema_violations(line), "");
}

TEST(AlertSchema, RefusesWhatIsNoAlert) {
  Json alert = Json::parse(to_json(full_alert()));
  EXPECT_EQ(schema_violations(alert.dump()), "");
  EXPECT_NE(schema_violations("not json"), "");
  for (const auto& [key, value] : alert.items()) {
    Json without = alert;
    without.erase(key);
    EXPECT_NE(schema_violations(without.dump()), "") << key;
  }
  const auto with = [&](const char* pointer, const Json& value) {
    Json changed = alert;
    changed[Json::json_pointer(pointer)] = value;
    return schema_violations(changed.dump());
  };
  EXPECT_NE(with("/count", 0), "");
  EXPECT_NE(with("/cause", "gremlins"), "");
  EXPECT_NE(with("/load_balancer/origin", "hearsay"), "");
  EXPECT_NE(with("/client/port", 65536), "");
  EXPECT_NE(with("/responder/kind", "cat"), "");
  EXPECT_NE(with("/evidence/conntrack", "maybe"), "");
  EXPECT_NE(with("/time", "yesterday"), "");
  EXPECT_NE(with("/unheard_of", 1), "");
}

}  // namespace
}  // namespace hairpind
