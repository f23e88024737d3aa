// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/alert_json.hpp"

#include <nlohmann/json.hpp>
#include <optional>

#include "hairpind/core/base64.hpp"
#include "hairpind/core/rfc3339.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::ordered_json;

// Port 0: no connection in particular.
Json endpoint(const Endpoint& endpoint) {
  return {{"ip", endpoint.address.to_string()}, {"port", endpoint.port == 0 ? Json(nullptr) : Json(endpoint.port)}};
}

void add_known(Json& json, const char* key, const std::string& value) {
  if (!value.empty()) {
    json[key] = value;
  }
}

Json peer(const Endpoint& at, const std::optional<PodRef>& pod) {
  Json json = endpoint(at);
  if (pod) {
    json["pod"] = pod->name;
    json["namespace"] = pod->namespace_name;
    add_known(json, "workload", pod->workload);
  }
  return json;
}

// Where it runs: which of a zonal load balancer's addresses it calls, and which of its targets it may be sent to.
Json client(const Alert& alert) {
  Json json = peer(alert.client, alert.client_pod);
  add_known(json, "node_zone", alert.node_zone);
  add_known(json, "provider_id", alert.provider_id);
  return json;
}

const char* key_of_kind(const std::string& kind) {
  if (kind.empty()) {
    return "service";
  }
  return kind == "Gateway" ? "gateway" : "ingress";
}

Json load_balancer(const Alert& alert) {
  Json json = endpoint(alert.load_balancer);
  if (alert.load_balancer_origin) {
    json["origin"] = to_string(*alert.load_balancer_origin);
  }
  if (const auto& ref = alert.load_balancer_service) {
    json[key_of_kind(ref->kind)] = ref->service;
    json["namespace"] = ref->namespace_name;
    add_known(json, "hostname", ref->hostname);
    add_known(json, "target_group_binding", ref->binding);
    add_known(json, "target_group", ref->target_group);
    if (!alert.load_balancer_rivals.empty()) {
      json["also_published_by"] = alert.load_balancer_rivals;
    }
  }
  return json;
}

template <typename T>
Json nullable(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json evidence(const Alert& alert) {
  return {{"syn_isn", alert.syn_isn},
          {"synack_ack", nullable(alert.synack_ack)},
          // A SYN-ACK is only ever linked to the client's SYN by the ISN it acknowledges; unsolicited it has none.
          {"isn_match", alert.synack_ack.has_value() && alert.cause != Cause::kUnsolicitedSynAck},
          {"returned_syn", alert.returned_syn},
          {"syn_interface", nullable(alert.syn_interface)},
          {"synack_interface", nullable(alert.synack_interface)},
          {"syn_to_synack_us", alert.syn_to_synack ? Json(alert.syn_to_synack->count()) : Json(nullptr)},
          {"conntrack", to_string(alert.conntrack)},
          {"conntrack_source", to_string(alert.conntrack_source)}};
}

Json outcome(const Alert& alert) {
  Json outcome = {{"state", to_string(alert.outcome)},
                  {"drop_reason", nullable(alert.drop_reason)},
                  {"drop_location", nullable(alert.drop_location)}};
  if (alert.cilium_drop) {
    outcome["cilium"] = {{"source_identity", alert.cilium_drop->source_identity},
                         {"destination_identity", alert.cilium_drop->destination_identity},
                         {"endpoint", alert.cilium_drop->endpoint}};
    if (!alert.cilium_source_labels.empty()) {
      outcome["cilium"]["source_labels"] = alert.cilium_source_labels;
    }
    if (!alert.cilium_destination_labels.empty()) {
      outcome["cilium"]["destination_labels"] = alert.cilium_destination_labels;
    }
  }
  return outcome;
}

Json problem(const ProblemReport& report) {
  return {{"state", to_string(report.state)},
          {"opened", to_rfc3339(report.opened)},
          {"last_mismatch", to_rfc3339(report.last_mismatch)},
          {"mismatched", report.mismatched},
          {"answered", report.answered},
          {"reopenings", report.reopenings},
          {"same_node_answers", report.same_node_answers},
          {"run", report.run},
          {"share", report.share},
          {"chance", report.chance}};
}

void add_problem(Json& line, const Alert& alert, const ProblemReport& report) {
  if (alert.event == AlertEvent::kAsymmetricHandshake) {
    line["reopened"] = true;
  } else if (report.proof) {
    line["proof"] = to_string(*report.proof);
  } else if (report.why) {
    line["why"] = {{"left", report.why->targets ? "target" : "client"},
                   {"who", report.why->who},
                   {"when", to_rfc3339(report.why->when)}};
  }
  line["problem"] = problem(report);
}

std::string runbook(Cause cause) {
  return "https://hairpind.dev/docs/runbooks/" + std::string(to_string(cause)) + ".md";
}

Json packets(const Alert& alert) {
  Json packets = Json::array();
  for (const AlertPacket& packet : alert.packets) {
    Json json{{"time", to_rfc3339(packet.time)},
              {"hook", to_string(packet.sensor)},
              {"interface", nullable(packet.interface)}};
    if (packet.note.empty()) {
      json["length"] = packet.length;
      json["data"] = encode_base64({reinterpret_cast<const char*>(packet.data.data()), packet.data.size()});
    } else {
      json["note"] = packet.note;
    }
    if (packet.reason) {
      json["reason"] = *packet.reason;
    }
    packets.push_back(std::move(json));
  }
  return packets;
}

}  // namespace

std::string to_json(const Alert& alert) {
  // An exposure tells of what may happen, and what is over has no handshake of its own either.
  const bool handshake = alert.event == AlertEvent::kAsymmetricHandshake ||
                         alert.event == AlertEvent::kAsymmetricHandshakeRepeated ||
                         alert.event == AlertEvent::kAsymmetricHandshakeEvidence;
  const bool has_cause = alert.event != AlertEvent::kHairpinExposure;
  Json responder = nullptr;
  if (alert.responder) {
    responder = peer(*alert.responder, alert.responder_pod);
    responder["kind"] = to_string(alert.responder_kind);
    if (alert.node_port_service) {
      responder["node_port_of"] = *alert.node_port_service;
    }
  }
  Json line{
      {"time", to_rfc3339(alert.time)},
      {"severity", to_string(alert.severity)},
      {"message", alert.message},
      {"schema", "hairpind.alert/v1"},
      {"event", to_string(alert.event)},
      {"node", alert.node},
      {"incident", alert.incident},
      {"cause", has_cause ? Json(to_string(alert.cause)) : Json(nullptr)},
      {"count", alert.count},
      {"hint", alert.hint},
      {"runbook", has_cause ? Json(runbook(alert.cause)) : Json(nullptr)},
      {"client", client(alert)},
      {"load_balancer", load_balancer(alert)},
      {"responder", std::move(responder)},
      {"backend", alert.backend ? peer(*alert.backend, alert.backend_pod) : Json(nullptr)},
      {"evidence", handshake ? evidence(alert) : Json(nullptr)},
      {"outcome", handshake ? outcome(alert) : Json(nullptr)},
  };
  if (alert.event == AlertEvent::kAsymmetricHandshakeEvidence) {
    line["packets"] = packets(alert);
  }
  if (alert.problem) {
    add_problem(line, alert, *alert.problem);
  }
  // Node and device names come from outside: bytes that are no UTF-8 must not cost the alert.
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hairpind
