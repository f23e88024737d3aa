// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/compose_alert.hpp"

#include <algorithm>
#include <cstddef>

#include "alert_message.hpp"
#include "hairpind/core/cilium_drop.hpp"
#include "hairpind/core/preservation.hpp"

namespace hairpind {
namespace {

// Services that publish the load balancer's address too, in an alert: whoever may create Services can make many.
constexpr std::size_t kRivalsNamed = 3;

// AWS: elasticloadbalancing/latest/network/load-balancer-troubleshooting.html, "Requests time out for requests
// from a target to its load balancer", and edit-target-group-attributes.html.
constexpr std::string_view kPreservationHint =
    "Turn off client IP preservation on the load balancer's target group (AWS NLB: preserve_client_ip.enabled=false; "
    "with the AWS Load Balancer Controller annotate the Service with "
    "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes: preserve_client_ip.enabled=false); use "
    "proxy "
    "protocol v2 if the target needs the client's address, and let the target's security group admit the load "
    "balancer's subnets. Or let clients inside the cluster use the ClusterIP Service, or keep client and target on "
    "different nodes.";

std::string hint(Cause cause, const Attempt& example) {
  // Of the node itself it says nothing: there may be a pod behind its port.
  const bool client_is_target = !example.host_client && example.returned.address == example.client.address;
  switch (cause) {
    case Cause::kHairpinIpTarget:
    case Cause::kHairpinNodePort:
    case Cause::kHairpinHostTarget:
      return std::string(kPreservationHint);
    case Cause::kHairpinMartian:
      if (client_is_target) {
        return "The client is the very target that the load balancer chose: its own SYN came back to it, and the "
               "kernel refuses a packet from its own address as a martian. " +
               std::string(kPreservationHint);
      }
      return "The load balancer sent the node's own packet back to it with the node's address as source, which the "
             "kernel "
             "refuses as a martian. " +
             std::string(kPreservationHint);
    case Cause::kHairpinRpFilter:
      return "The load balancer sent a local client's SYN back to the client's node, and strict reverse path filtering "
             "on the uplink refused it. Loosening rp_filter only moves the failure: the answer would still bypass the "
             "load balancer. " +
             std::string(kPreservationHint);
    case Cause::kAsymmetricRemote:
      return "A target on another node answers the client directly. Route its replies through the load balancer, turn "
             "off client IP preservation, or repair the target's reply translation (direct server return must answer "
             "from the load balancer's address).";
    case Cause::kUnsolicitedSynAck:
      return "A pod on this node answers a connection that the client never opened to it, as when a load balancer that "
             "ends TLS opens its own connection under the client's address. " +
             std::string(kPreservationHint);
    case Cause::kNone:
      break;
  }
  return {};
}

// For who has had the whole of it already, or finds it behind the runbook's link.
std::string brief_hint(Cause cause) {
  return cause == Cause::kAsymmetricRemote
             ? "Route the target's replies through the load balancer, or turn off client IP preservation (runbook)."
             : "Turn off client IP preservation on the load balancer's target group (runbook; in full in the first "
               "alert of this incident).";
}

constexpr std::string_view kTranslatedHint =
    "This node itself translated the load balancer's address into the target, and the answer bypassed the translation "
    "back. Between pods on one Linux bridge netfilter must see bridged packets: load br_netfilter and set "
    "net.bridge.bridge-nf-call-iptables=1 and net.bridge.bridge-nf-call-ip6tables=1.";

constexpr std::string_view kPolicyHint =
    "The policy drop is a symptom: the answer belongs to no connection that the client has opened. Relaxing the policy "
    "only hides it, and the connection still fails. ";

// Where that is set, if by no Service's annotation.
std::string setting_of(const LoadBalancerRef& ref) {
  if (!ref.binding.empty()) {
    return " The target group is no Service's: TargetGroupBinding " + ref.namespace_name + "/" + ref.binding +
           " names it" + (ref.target_group.empty() ? "" : " (" + ref.target_group + ")") +
           ", and it is set where it was made: aws elbv2 modify-target-group-attributes, Terraform's "
           "preserve_client_ip.";
  }
  if (ref.kind == "Gateway") {
    return " For a Gateway of the AWS Load Balancer Controller that is targetGroupAttributes in the "
           "TargetGroupConfiguration of each Service behind it.";
  }
  return {};
}

void add_names(Alert& alert, const Attempt& example, const AlertSources& sources) {
  if (sources.cluster == nullptr) {
    return;
  }
  const Cluster& cluster = *sources.cluster;
  alert.node_zone = cluster.node().zone;
  alert.provider_id = cluster.node().provider_id;
  // An address may have changed hands since: the pod that had it when the SYN was sent.
  const SinceBoot sent = example.first_syn;
  alert.client_pod = cluster.pod_at(alert.client, sent);
  if (alert.responder) {
    alert.responder_pod = cluster.pod_at(*alert.responder, sent);
    if (alert.responder_kind == ResponderKind::kNode && !alert.responder_pod) {
      if (const Service* const service = cluster.service_with_node_port(alert.responder->port)) {
        alert.node_port_service = service->full_name();
      }
    }
  }
  if (alert.backend) {
    alert.backend_pod = cluster.pod_at(*alert.backend, sent);
  }
  if (const auto ref = cluster.load_balancer_at(alert.load_balancer)) {
    alert.load_balancer_service = *ref;
    alert.load_balancer_rivals = cluster.rivals_at(alert.load_balancer);
    alert.load_balancer_rivals.resize(std::min(alert.load_balancer_rivals.size(), kRivalsNamed));
    if (const Service* const service = cluster.publisher_at(alert.load_balancer)) {
      alert.hint = hint_for(*service);
    } else {
      alert.hint += setting_of(*ref);
    }
  }
}

}  // namespace

Alert compose_alert(const DueAlert& due, const AlertSources& sources) {
  const Attempt& example = due.example;
  Alert alert;
  alert.event = due.event;
  alert.time = WallTime(due.time + sources.boot_to_wall);
  alert.node = sources.node;
  alert.incident = due.key.id(sources.node);
  // A delayed connection and a guess without the SYN are worth a look in the morning, not a page.
  alert.severity = example.outcome == Outcome::kCompleted || example.cause == Cause::kUnsolicitedSynAck
                       ? Severity::kWarning
                       : Severity::kCritical;
  alert.cause = due.key.cause;
  alert.count = due.count;
  alert.client = example.client;
  alert.load_balancer = example.load_balancer;
  if (sources.origin_of) {
    alert.load_balancer_origin = sources.origin_of(alert.load_balancer);
  }
  if (!alert.load_balancer_origin && example.learned) {
    alert.load_balancer_origin = LoadBalancerOrigin::kLearned;
  }
  if (!due.key.responder.empty()) {
    alert.responder = due.key.responder;
    alert.responder_kind = example.responder_kind;
  }
  // Of one on another node nothing more is known.
  if (!example.synack_sent.empty() && example.responder_kind != ResponderKind::kRemote) {
    alert.backend = example.synack_sent;
  }
  alert.syn_isn = example.isn;
  alert.returned_syn = !example.returned.empty();
  alert.syn_interface = sources.interface_name(example.syn_ifindex);
  if (example.synack_seen()) {
    alert.synack_ack = example.synack_ack;
    alert.synack_interface = sources.interface_name(example.synack_ifindex);
    // What was noted before it was known to matter has the time of a clock's tick.
    if (!example.learned && example.synack >= example.first_syn) {
      alert.syn_to_synack = std::chrono::duration_cast<std::chrono::microseconds>(example.synack - example.first_syn);
    }
  }
  alert.conntrack = example.conntrack;
  alert.conntrack_source = example.conntrack_source;
  alert.outcome = example.outcome;
  if (example.outcome == Outcome::kDropped) {
    alert.drop_reason = sources.drop_reason_name(example.drop_reason);
    if (!due.drop_symbol.empty()) {
      alert.drop_location = due.drop_symbol;
    }
    alert.syn_dropped = example.syn_dropped;
    alert.cilium_drop = example.cilium_drop;
    if (alert.cilium_drop) {
      alert.drop_reason = cilium_drop_reason(alert.cilium_drop->reason);
      const CiliumIdentities reserved;
      const CiliumIdentities& identities = sources.identities == nullptr ? reserved : *sources.identities;
      alert.cilium_source_labels = identities.labels(alert.cilium_drop->source_identity);
      alert.cilium_destination_labels = identities.labels(alert.cilium_drop->destination_identity);
    }
  }
  alert.hint = hint(due.key.cause, example);
  add_names(alert, example, sources);
  // Whatever the load balancer does, the SYN never reached it.
  if (alert.conntrack == Conntrack::kTranslated) {
    alert.hint = kTranslatedHint;
  }
  if (alert.cilium_drop && is_cilium_policy_drop(alert.cilium_drop->reason)) {
    alert.hint = std::string(kPolicyHint) + alert.hint;
  }
  // Where a TargetGroupBinding was found only after the first alert, this is the first that says where it is set.
  const bool bound = alert.load_balancer_service && !alert.load_balancer_service->binding.empty();
  if (!bound && (due.event == AlertEvent::kAsymmetricHandshakeRepeated ||
                 due.event == AlertEvent::kAsymmetricHandshakeEvidence)) {
    alert.hint = alert.conntrack == Conntrack::kTranslated ? std::string(kTranslatedHint) : brief_hint(due.key.cause);
  }
  alert.message = message_of(alert, example);
  return alert;
}

}  // namespace hairpind
