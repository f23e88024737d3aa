// SPDX-License-Identifier: Apache-2.0
#include "alert_message.hpp"

#include "hairpind/core/printable.hpp"

namespace hairpind {
namespace {

// What is left out first where names are long.
enum class Detail : std::uint8_t {
  kAll,
  kEnding,  ///< not what follows from the ending
  kReason,  ///< of a drop not where
  kNames,   ///< pods by their names alone
  kShort,   ///< of the load balancer nothing but name and address
  kBare,    ///< not what became of the answer
};

std::string dropped_by(const Alert& alert, Detail detail) {
  if (!alert.drop_reason) {
    return alert.drop_location ? " (in " + *alert.drop_location + ")" : "";
  }
  const bool located = alert.drop_location && detail < Detail::kReason;
  return " (" + *alert.drop_reason + (located ? " in " + *alert.drop_location : "") + ")";
}

std::string ending(const Alert& alert, bool host_client, Detail detail) {
  const std::string packet = alert.syn_dropped ? "the SYN" : "the answer";
  const std::string consequence = detail == Detail::kAll ? ", and the connection cannot complete" : "";
  switch (alert.outcome) {
    case Outcome::kResetByClient:
      return (host_client ? "the node's own stack reset it" : "the client's kernel reset it") + consequence;
    case Outcome::kDropped:
      return "the kernel dropped " + packet + dropped_by(alert, detail) + consequence;
    case Outcome::kCompleted:
      return "a later SYN of the same attempt was answered by the load balancer, so the connection was only delayed";
    case Outcome::kUnknown:
      break;
  }
  return "what became of it was not seen";
}

std::string backend_words(const Endpoint& backend, const std::optional<PodRef>& pod) {
  if (!pod) {
    return "pod " + backend.to_string();
  }
  return "pod " + pod->namespace_name + "/" + pod->name + " (" + backend.to_string() + ")";
}

std::string where(const Alert& alert) {
  switch (alert.responder_kind) {
    case ResponderKind::kLocalPod:
      return " on the same node";
    case ResponderKind::kNode:
      return alert.backend && alert.backend != alert.responder
                 ? ", this node's own address (" + backend_words(*alert.backend, alert.backend_pod) + " behind it)"
                 : ", this node's own address";
    case ResponderKind::kRemote:
      return " on another node";
    case ResponderKind::kNone:
      break;
  }
  return {};
}

std::string named(const std::optional<PodRef>& pod, const Endpoint& endpoint, Detail detail) {
  if (!pod) {
    return endpoint.to_string();
  }
  std::string name = "pod " + pod->namespace_name + "/" + pod->name;
  if (detail >= Detail::kNames) {
    return name;
  }
  const std::string workload = pod->workload.empty() ? "" : " of " + pod->workload;
  return name + workload + " (" + endpoint.to_string() + ")";
}

std::string named_load_balancer(const Alert& alert, Detail detail) {
  const auto& service = alert.load_balancer_service;
  if (detail > Detail::kNames) {
    return (service ? service->full_name() + " " : "") + alert.load_balancer.to_string();
  }
  if (!service) {
    return alert.load_balancer.to_string() +
           (alert.load_balancer_origin == LoadBalancerOrigin::kLearned ? " (named by nobody: found by its SYNs)" : "");
  }
  std::string named = service->full_name() + " (";
  named += (service->hostname.empty() ? "" : service->hostname + ", ") + alert.load_balancer.to_string();
  named += service->binding.empty() ? "" : ", by TargetGroupBinding " + service->binding;
  for (const std::string& rival : alert.load_balancer_rivals) {
    named += ", also published by the younger Service " + rival;
  }
  return named + ")";
}

std::string message(const Alert& alert, const Attempt& example, Detail detail) {
  const std::string end = detail == Detail::kBare ? "" : ending(alert, example.host_client, detail);
  const std::string client = named(alert.client_pod, alert.client, detail);
  const std::string load_balancer = named_load_balancer(alert, detail);
  if (alert.cause == Cause::kUnsolicitedSynAck && alert.responder) {
    return "a SYN that " + client + " never sent came in under its name, " +
           named(alert.responder_pod, *alert.responder, detail) + where(alert) +
           (alert.responder_kind == ResponderKind::kNode ? ", answered it" : " answered it") +
           (end.empty() ? "" : ", and " + end) + "; the client called load balancer " + load_balancer + " last";
  }
  const std::string syn = "SYN from " + client + " to load balancer " + load_balancer;
  const std::string after = end.empty() ? "" : "; " + end;
  if (alert.responder) {
    return syn + " was answered by " + named(alert.responder_pod, *alert.responder, detail) + where(alert) +
           ", not by the load balancer" + after;
  }
  const std::string target = example.returned.empty() ? "" : " for " + example.returned.to_string();
  return syn + " came back to its own node" + target + ", source kept, unanswered" + after;
}

}  // namespace

std::string message_of(const Alert& alert, const Attempt& example) {
  std::string text;
  for (const Detail detail :
       {Detail::kAll, Detail::kEnding, Detail::kReason, Detail::kNames, Detail::kShort, Detail::kBare}) {
    text = message(alert, example, detail);
    if (text.size() <= kMostOfAMessage) {
      return text;
    }
  }
  return printable(text, kMostOfAMessage);
}

}  // namespace hairpind
