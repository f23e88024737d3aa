// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/compose_alert.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attempts.hpp"

namespace hairpind {
namespace {

using testing::endpoint;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::ip_target_attempt;
using ::testing::Not;

Alert compose(const Attempt& example, const std::string& drop_symbol = "",
              const CiliumIdentities* identities = nullptr) {
  const AlertSources sources{.node = "n1",
                             .boot_to_wall = std::chrono::hours(10),
                             .interface_name = [](std::uint32_t ifindex) -> std::optional<std::string> {
                               return ifindex == 9 ? std::nullopt : std::optional("veth" + std::to_string(ifindex));
                             },
                             .drop_reason_name = [](std::uint32_t reason) -> std::optional<std::string> {
                               return reason == 8 ? std::optional<std::string>("NETFILTER_DROP") : std::nullopt;
                             },
                             .identities = identities};
  return compose_alert({.event = AlertEvent::kAsymmetricHandshake,
                        .key = IncidentKey::of(example),
                        .count = 3,
                        .time = example.first_syn,
                        .example = example,
                        .drop_symbol = drop_symbol},
                       sources);
}

// By these names, and nothing else that is known.
Alert compose_in(const Cluster& cluster, const Attempt& example, AlertEvent event = AlertEvent::kAsymmetricHandshake) {
  return compose_alert({.event = event,
                        .key = IncidentKey::of(example),
                        .count = 1,
                        .time = example.first_syn,
                        .example = example,
                        .drop_symbol = ""},
                       {.node = "n1",
                        .interface_name = [](std::uint32_t) { return std::nullopt; },
                        .drop_reason_name = [](std::uint32_t) { return std::nullopt; },
                        .cluster = &cluster});
}

TEST(ComposeAlert, NamesClientLoadBalancerResponderAndEnding) {
  Attempt attempt = ip_target_attempt();
  attempt.outcome = Outcome::kResetByClient;
  const Alert alert = compose(attempt);
  EXPECT_EQ(alert.message,
            "SYN from 10.0.1.10:37762 to load balancer 10.0.5.5:443 was answered by 10.0.1.20:8443 on the same node, "
            "not by the load balancer; the client's kernel reset it, and the connection cannot complete");
  EXPECT_THAT(alert.hint, HasSubstr("preserve_client_ip.enabled=false"));
  EXPECT_EQ(alert.severity, Severity::kCritical);
  EXPECT_EQ(alert.time, WallTime(std::chrono::hours(10) + std::chrono::seconds(1)));
  EXPECT_EQ(alert.incident, IncidentKey::of(attempt).id());
  EXPECT_EQ(alert.syn_interface, "veth1");
  EXPECT_EQ(alert.synack_interface, "veth2");
  EXPECT_EQ(alert.syn_to_synack, std::chrono::microseconds(231));
  EXPECT_EQ(alert.synack_ack, 3788628419);
  EXPECT_TRUE(alert.returned_syn);
  EXPECT_EQ(alert.backend, endpoint("10.0.1.20", 8443));
}

TEST(ComposeAlert, SaysThatNobodyNamesALearnedLoadBalancer) {
  Attempt attempt = ip_target_attempt();
  EXPECT_EQ(compose(attempt).load_balancer_origin, std::nullopt);
  attempt.learned = true;
  const Alert alert = compose(attempt);
  EXPECT_EQ(alert.load_balancer_origin, LoadBalancerOrigin::kLearned);
  EXPECT_FALSE(alert.syn_to_synack) << "the time of the SYN is a tick's";
  EXPECT_THAT(
      alert.message,
      HasSubstr("to load balancer 10.0.5.5:443 (named by nobody: found by its SYNs) was answered by 10.0.1.20:8443"));
}

TEST(ComposeAlert, WhoNamesItNowIsAskedFirst) {
  Attempt attempt = ip_target_attempt();
  attempt.learned = true;
  const AlertSources sources{.node = "n1",
                             .boot_to_wall = {},
                             .interface_name = [](std::uint32_t) { return std::nullopt; },
                             .drop_reason_name = [](std::uint32_t) { return std::nullopt; },
                             .cluster = nullptr,
                             .origin_of =
                                 [](const Endpoint& load_balancer) {
                                   return load_balancer.port == 443 ? std::optional(LoadBalancerOrigin::kConfigured)
                                                                    : std::nullopt;
                                 }};
  const DueAlert due{.event = AlertEvent::kAsymmetricHandshake,
                     .key = IncidentKey::of(attempt),
                     .count = 1,
                     .time = attempt.first_syn,
                     .example = attempt,
                     .drop_symbol = ""};
  EXPECT_EQ(compose_alert(due, sources).load_balancer_origin, LoadBalancerOrigin::kConfigured);
}

TEST(ComposeAlert, NodePortNamesThePodBehindIt) {
  Attempt attempt = ip_target_attempt();
  attempt.cause = Cause::kHairpinNodePort;
  attempt.returned = attempt.synack_delivered = attempt.responder = endpoint("10.0.0.4", 30443);
  attempt.responder_kind = ResponderKind::kNode;
  const Alert alert = compose(attempt);
  EXPECT_EQ(alert.responder, endpoint("10.0.0.4", 30443));
  EXPECT_EQ(alert.responder_kind, ResponderKind::kNode);
  EXPECT_EQ(alert.backend, endpoint("10.0.1.20", 8443));
  EXPECT_THAT(
      alert.message,
      HasSubstr("10.0.0.4:30443, this node's own address (pod 10.0.1.20:8443 behind it), not by the load balancer"));
}

TEST(ComposeAlert, ATranslationThatIsNotUndoneHasItsOwnRemedy) {
  Attempt attempt = ip_target_attempt();
  attempt.conntrack = Conntrack::kTranslated;
  const Alert alert = compose(attempt);
  EXPECT_THAT(alert.hint, HasSubstr("net.bridge.bridge-nf-call-iptables=1"));
  EXPECT_THAT(alert.hint, Not(HasSubstr("preserve_client_ip")));
}

TEST(ComposeAlert, WithoutSynAckThereIsNoResponder) {
  Attempt attempt = ip_target_attempt();
  attempt.synack_sent = attempt.synack_delivered = attempt.responder = {};
  attempt.synack = {};
  attempt.responder_kind = ResponderKind::kNone;
  attempt.cause = Cause::kHairpinRpFilter;
  attempt.outcome = Outcome::kDropped;
  attempt.drop_reason = 8;
  attempt.syn_dropped = true;
  const Alert alert = compose(attempt, "ip_rcv_finish_core");
  EXPECT_FALSE(alert.responder);
  EXPECT_FALSE(alert.backend);
  EXPECT_FALSE(alert.synack_ack);
  EXPECT_FALSE(alert.synack_interface);
  EXPECT_FALSE(alert.syn_to_synack);
  EXPECT_EQ(alert.drop_reason, "NETFILTER_DROP");
  EXPECT_EQ(alert.drop_location, "ip_rcv_finish_core");
  EXPECT_THAT(alert.message, HasSubstr("came back to its own node for 10.0.1.20:8443"));
  EXPECT_THAT(alert.message, HasSubstr("the kernel dropped the SYN (NETFILTER_DROP in ip_rcv_finish_core)"));
}

TEST(ComposeAlert, TheTextFollowsThePacketThatWasDropped) {
  Attempt attempt = ip_target_attempt();
  attempt.outcome = Outcome::kDropped;
  attempt.drop_reason = 8;
  EXPECT_THAT(compose(attempt).message, HasSubstr("the kernel dropped the answer (NETFILTER_DROP)"));
  attempt.syn_dropped = true;
  EXPECT_THAT(compose(attempt).message, HasSubstr("the kernel dropped the SYN (NETFILTER_DROP)"));
  // A hostNetwork target answered, and its answer is the first of it that was seen.
  attempt.syn_dropped = false;
  attempt.synack_sent = attempt.synack_delivered = attempt.responder = {};
  attempt.responder_kind = ResponderKind::kNone;
  EXPECT_THAT(compose(attempt).message, HasSubstr("the kernel dropped the answer (NETFILTER_DROP)"));
}

TEST(ComposeAlert, APolicyDropOfCiliumsIsNamedAndCalledASymptom) {
  Attempt attempt = ip_target_attempt();
  attempt.outcome = Outcome::kDropped;
  attempt.drop_reason = 8;
  attempt.cilium_drop = CiliumDrop{.source_identity = 1, .destination_identity = 2, .endpoint = 3, .reason = 133};
  const Alert policy = compose(attempt);
  EXPECT_EQ(policy.drop_reason, "CILIUM_POLICY_DENIED");
  EXPECT_EQ(policy.cilium_drop, attempt.cilium_drop);
  EXPECT_THAT(policy.hint, ::testing::StartsWith("The policy drop is a symptom"));
  EXPECT_THAT(policy.hint, HasSubstr("preserve_client_ip.enabled=false"));
  attempt.cilium_drop->reason = 169;
  EXPECT_EQ(compose(attempt).drop_reason, "CILIUM_FIB_LOOKUP_FAILED");
  EXPECT_THAT(compose(attempt).hint, ::testing::Not(HasSubstr("symptom")));
  attempt.cilium_drop->reason = 250;
  EXPECT_EQ(compose(attempt).drop_reason, "CILIUM_250");
}

TEST(ComposeAlert, CiliumsIdentitiesHaveTheLabelsThatAreKnown) {
  Attempt attempt = ip_target_attempt();
  attempt.outcome = Outcome::kDropped;
  attempt.cilium_drop = CiliumDrop{.source_identity = 12345, .destination_identity = 2, .endpoint = 3, .reason = 133};
  const Alert without = compose(attempt);
  EXPECT_TRUE(without.cilium_source_labels.empty());
  EXPECT_THAT(without.cilium_destination_labels, ::testing::ElementsAre("reserved:world"))
      << "without an API server, too";
  CiliumIdentities identities;
  ASSERT_TRUE(identities.is_to_be_asked(12345, {}));
  identities.set(12345, {"k8s:app=web"});
  const Alert with = compose(attempt, "", &identities);
  EXPECT_THAT(with.cilium_source_labels, ::testing::ElementsAre("k8s:app=web"));
  EXPECT_THAT(with.cilium_destination_labels, ::testing::ElementsAre("reserved:world"));
}

TEST(ComposeAlert, AClientThatIsItsOwnTargetIsToldSo) {
  Attempt attempt = ip_target_attempt();
  attempt.cause = Cause::kHairpinMartian;
  EXPECT_THAT(compose(attempt).hint, HasSubstr("the node's own packet"));
  attempt.returned.address = attempt.client.address;
  EXPECT_THAT(compose(attempt).hint, HasSubstr("The client is the very target"));
  attempt.host_client = true;
  EXPECT_THAT(compose(attempt).hint, HasSubstr("the node's own packet")) << "a node port of it may lead to a pod";
}

TEST(ComposeAlert, UnsolicitedSynAckSaysWhatIsGuessed) {
  Attempt attempt = ip_target_attempt();
  attempt.cause = Cause::kUnsolicitedSynAck;
  attempt.outcome = Outcome::kResetByClient;
  const Alert alert = compose(attempt);
  EXPECT_EQ(alert.severity, Severity::kWarning);
  EXPECT_EQ(alert.message,
            "a SYN that 10.0.1.10:37762 never sent came in under its name, 10.0.1.20:8443 on the same "
            "node answered it, and the client's kernel reset it; the client called load balancer 10.0.5.5:443 last");
}

TEST(ComposeAlert, NamesWhatElseThanAServiceHasTheLoadBalancer) {
  const Attempt attempt = ip_target_attempt();
  Cluster cluster;
  const auto alert_by = [&](const LoadBalancerRef& ref) {
    cluster.set_found(attempt.load_balancer, ref);
    return compose_in(cluster, attempt);
  };
  const Alert bound = alert_by({.namespace_name = "shop", .service = "api", .binding = "tgb", .target_group = "arn:1"});
  EXPECT_THAT(bound.message, HasSubstr("load balancer shop/api (10.0.5.5:443, by TargetGroupBinding tgb) was"));
  EXPECT_THAT(bound.hint, HasSubstr("TargetGroupBinding shop/tgb names it (arn:1)"));
  EXPECT_THAT(bound.hint, HasSubstr("preserve_client_ip.enabled=false"));
  const Alert gateway = alert_by({.namespace_name = "shop", .service = "api", .kind = "Gateway"});
  EXPECT_THAT(gateway.message, HasSubstr("load balancer Gateway shop/api (10.0.5.5:443) was"));
  EXPECT_THAT(gateway.hint, HasSubstr("TargetGroupConfiguration"));
}

TEST(ComposeAlert, TellsWhereTheNodeIs) {
  Cluster cluster;
  cluster.apply({.node = Node{.addresses = {}, .zone = "eu-west-1a", .provider_id = "aws:///eu-west-1a/i-0abc"}},
                SinceBoot{});
  const Alert alert = compose_in(cluster, ip_target_attempt());
  EXPECT_EQ(alert.node_zone, "eu-west-1a");
  EXPECT_EQ(alert.provider_id, "aws:///eu-west-1a/i-0abc");
}

// Two hundred characters, whatever the names: what a notification shows.
TEST(ComposeAlert, AMessageIsShortAndLosesWhatMattersLast) {
  const auto message_with = [](const std::string& name, const Attempt& attempt) {
    Cluster cluster;
    const auto pod_at = [&](const char* address) {
      Pod pod;
      pod.uid = address;
      pod.ref = {.namespace_name = name, .name = name + address, .workload = "Deployment/" + name};
      pod.addresses = {*IpAddress::parse(address)};
      return pod;
    };
    cluster.apply({.pods = {pod_at("10.0.1.10"), pod_at("10.0.1.20")}}, SinceBoot{});
    cluster.set_found(attempt.load_balancer,
                      LoadBalancerRef{.namespace_name = name, .service = name, .binding = "tgb"});
    return compose_in(cluster, attempt).message;
  };
  Attempt attempt = ip_target_attempt();
  attempt.outcome = Outcome::kResetByClient;
  EXPECT_EQ(
      message_with("a", attempt),
      "SYN from pod a/a10.0.1.10 to load balancer a/a (10.0.5.5:443, by TargetGroupBinding tgb) was answered by pod "
      "a/a10.0.1.20 on the same node, not by the load balancer; the client's kernel reset it");
  EXPECT_EQ(
      message_with("shop", attempt),
      "SYN from pod shop/shop10.0.1.10 to load balancer shop/shop 10.0.5.5:443 was answered by pod shop/shop10.0.1.20 "
      "on the same node, not by the load balancer; the client's kernel reset it");
  EXPECT_EQ(
      message_with("shopping", attempt),
      "SYN from pod shopping/shopping10.0.1.10 to load balancer shopping/shopping 10.0.5.5:443 was answered by pod "
      "shopping/shopping10.0.1.20 on the same node, not by the load balancer");
  for (std::uint8_t cause = HP_CAUSE_NONE + 1; cause < HP_CAUSE_COUNT; cause++) {
    attempt.cause = static_cast<Cause>(cause);
    EXPECT_LE(message_with(std::string(63, 'x'), attempt).size(), 200);
  }
}

TEST(ComposeAlert, WhatIsToldAgainPointsToTheRunbook) {
  const Attempt attempt = ip_target_attempt();
  const auto hint_of = [&](AlertEvent event) { return compose_in({}, attempt, event).hint; };
  EXPECT_GT(hint_of(AlertEvent::kAsymmetricHandshake).size(), 400);
  for (const AlertEvent event : {AlertEvent::kAsymmetricHandshakeRepeated, AlertEvent::kAsymmetricHandshakeEvidence}) {
    EXPECT_LE(hint_of(event).size(), 200);
    EXPECT_THAT(hint_of(event), HasSubstr("runbook"));
  }
  // A binding is found only after the first alert.
  Cluster cluster;
  cluster.set_found(attempt.load_balancer,
                    LoadBalancerRef{.namespace_name = "shop", .service = "api", .binding = "tgb"});
  EXPECT_THAT(compose_in(cluster, attempt, AlertEvent::kAsymmetricHandshakeRepeated).hint,
              HasSubstr("TargetGroupBinding shop/tgb names it"));
}

TEST(ComposeAlert, WhereItWasDroppedGoesBeforeThatItWas) {
  Attempt attempt = ip_target_attempt();
  attempt.outcome = Outcome::kDropped;
  attempt.cilium_drop = CiliumDrop{.reason = 133};
  const auto message_at = [&](const std::string& symbol) { return compose(attempt, symbol).message; };
  EXPECT_THAT(message_at("sch_handle"),
              EndsWith("; the kernel dropped the answer (CILIUM_POLICY_DENIED in sch_handle)"));
  EXPECT_THAT(message_at("__netif_receive_skb_core.constprop.0"),
              EndsWith("; the kernel dropped the answer (CILIUM_POLICY_DENIED)"));
}

// Clauses are put together from what is known; none may bring its neighbour's comma.
TEST(ComposeAlert, SentencesAreWellFormedWhateverIsKnown) {
  for (std::uint8_t cause = HP_CAUSE_NONE + 1; cause < HP_CAUSE_COUNT; cause++) {
    for (std::uint8_t kind = HP_RESPONDER_NONE; kind <= HP_RESPONDER_REMOTE; kind++) {
      for (std::uint8_t outcome = 0; outcome < HP_OUTCOME_COUNT; outcome++) {
        for (const bool backend : {false, true}) {
          Attempt attempt = ip_target_attempt();
          attempt.cause = static_cast<Cause>(cause);
          attempt.responder_kind = static_cast<ResponderKind>(kind);
          attempt.outcome = static_cast<Outcome>(outcome);
          if (kind == HP_RESPONDER_NODE) {
            attempt.responder = endpoint("10.0.0.4", 30443);
          }
          if (!backend) {
            attempt.synack_sent = {};
          }
          const std::string message = compose(attempt).message;
          for (const char* const slip : {",,", ", ,", "  ", " ,", " ;", ",;", "()"}) {
            EXPECT_THAT(message, Not(HasSubstr(slip)));
          }
        }
      }
    }
  }
}

TEST(ComposeAlert, ANodeThatAnsweredAnUnsolicitedSynIsSaidInOneSentence) {
  Attempt attempt = ip_target_attempt();
  attempt.cause = Cause::kUnsolicitedSynAck;
  attempt.responder = endpoint("10.0.0.4", 8443);
  attempt.responder_kind = ResponderKind::kNode;
  attempt.synack_sent = {};
  EXPECT_THAT(compose(attempt).message,
              HasSubstr("under its name, 10.0.0.4:8443, this node's own address, answered it"));
}

TEST(ComposeAlert, WhatIsNotKnownIsNotMadeUp) {
  Attempt attempt = ip_target_attempt();
  attempt.syn_ifindex = 9;
  attempt.outcome = Outcome::kDropped;
  attempt.drop_reason = 999;
  const Alert alert = compose(attempt);
  EXPECT_FALSE(alert.syn_interface);
  EXPECT_FALSE(alert.drop_reason);
  EXPECT_FALSE(alert.drop_location);
  EXPECT_THAT(alert.message, HasSubstr("the kernel dropped the answer"));
  attempt.outcome = Outcome::kUnknown;
  EXPECT_THAT(compose(attempt).message, HasSubstr("what became of it was not seen"));
}

TEST(ComposeAlert, DelayedConnectionIsNoPage) {
  Attempt attempt = ip_target_attempt();
  attempt.outcome = Outcome::kCompleted;
  EXPECT_EQ(compose(attempt).severity, Severity::kWarning);
  EXPECT_THAT(compose(attempt).message, Not(HasSubstr("cannot complete")));
}

TEST(ComposeAlert, EveryCauseHasAHint) {
  for (std::uint8_t cause = HP_CAUSE_NONE + 1; cause < HP_CAUSE_COUNT; cause++) {
    Attempt attempt = ip_target_attempt();
    attempt.cause = static_cast<Cause>(cause);
    EXPECT_GT(compose(attempt).hint.size(), 50) << to_string(attempt.cause);
    EXPECT_NE(to_string(attempt.cause), "none");
  }
}

}  // namespace
}  // namespace hairpind
