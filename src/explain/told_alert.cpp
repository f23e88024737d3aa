// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/told_alert.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "hairpind/core/base64.hpp"
#include "hairpind/core/printable.hpp"
#include "hairpind/core/rfc3339.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLongestName = 300;  // a host name has 253
constexpr std::size_t kLongestText = 4000;
// Of one line: the agent sends 16 an attempt.
constexpr std::size_t kMostPackets = 64;
constexpr std::size_t kLongestData = std::size_t{64} << 10U;

const Json& member(const Json& object, const char* key) {
  static const Json null;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() ? *found : null;
}

std::string text(const Json& object, const char* key, std::size_t most = kLongestName) {
  const Json& value = member(object, key);
  return value.is_string() ? printable(value.get_ref<const std::string&>(), most) : std::string();
}

template <typename T>
std::optional<T> number(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<T>::max()) {
    return std::nullopt;
  }
  return value.get<T>();
}

bool flag(const Json& object, const char* key) {
  const Json& value = member(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::string full_name(const Json& object, const char* key) {
  const std::string name = text(object, key);
  const std::string namespace_name = text(object, "namespace");
  return name.empty() || namespace_name.empty() ? name : namespace_name + "/" + name;
}

ToldPeer peer(const Json& json) {
  return {.ip = text(json, "ip"),
          .port = number<std::uint16_t>(json, "port"),
          .pod = full_name(json, "pod"),
          .workload = text(json, "workload"),
          .kind = text(json, "kind")};
}

std::optional<ToldPeer> optional_peer(const Json& json) {
  return json.is_object() ? std::optional(peer(json)) : std::nullopt;
}

ToldEvidence evidence(const Json& json) {
  return {.syn_isn = number<std::uint32_t>(json, "syn_isn"),
          .synack_ack = number<std::uint32_t>(json, "synack_ack"),
          .isn_match = flag(json, "isn_match"),
          .returned_syn = flag(json, "returned_syn"),
          .syn_interface = text(json, "syn_interface"),
          .synack_interface = text(json, "synack_interface"),
          .syn_to_synack_us = number<std::uint64_t>(json, "syn_to_synack_us"),
          .conntrack = text(json, "conntrack"),
          .conntrack_source = text(json, "conntrack_source")};
}

std::optional<WallTime> time_of(const Json& json) {
  const Json& time = member(json, "time");
  return time.is_string() ? parse_rfc3339(time.get_ref<const std::string&>()) : std::nullopt;
}

void read_packets(const Json& packets, ToldAlert& alert) {
  if (!packets.is_array()) {
    return;
  }
  for (const Json& json : packets) {
    if (alert.packets.size() == kMostPackets) {
      break;
    }
    ToldPacket packet{.time = time_of(json),
                      .hook = text(json, "hook"),
                      .interface = text(json, "interface"),
                      .note = text(json, "note", kLongestText),
                      .length = number<std::uint32_t>(json, "length").value_or(0),
                      .data = {}};
    if (const std::string reason = text(json, "reason");
        !reason.empty() && packet.note.find(reason) == std::string::npos) {
      packet.note += (packet.note.empty() ? "" : ": ") + reason;
    }
    if (const Json& data = member(json, "data"); data.is_string()) {
      auto bytes = decode_base64(data.get_ref<const std::string&>());
      if (bytes && bytes->size() <= kLongestData) {
        packet.data = *std::move(bytes);
      } else {
        alert.broken_packets++;
      }
    }
    packet.length = std::max(packet.length, static_cast<std::uint32_t>(packet.data.size()));
    alert.packets.push_back(std::move(packet));
  }
}

/// "asymmetric_handshake", or as ECS has it: {"kind":"alert","action":"asymmetric_handshake"}.
std::string event_name(const Json& line) {
  const Json& event = member(line, "event");
  return event.is_object() ? text(event, "action") : text(line, "event");
}

}  // namespace

std::string ToldPeer::address() const {
  if (!port) {
    return ip;
  }
  return (ip.find(':') == std::string::npos ? ip : "[" + ip + "]") + ":" + std::to_string(*port);
}

std::optional<ToldAlert> parse_told_alert(std::string_view json) {
  const Json line = Json::parse(json, nullptr, false);
  if (!line.is_object()) {
    return std::nullopt;
  }
  const Json& load_balancer = member(line, "load_balancer");
  const Json& outcome = member(line, "outcome");
  ToldAlert alert{.event = event_name(line),
                  .time = time_of(line),
                  .node = text(line, "node"),
                  .incident = text(line, "incident"),
                  .severity = text(line, "severity"),
                  .cause = text(line, "cause"),
                  .message = text(line, "message", kLongestText),
                  .hint = text(line, "hint", kLongestText),
                  .runbook = text(line, "runbook"),
                  .client = peer(member(line, "client")),
                  .load_balancer = {.at = peer(load_balancer),
                                    .service = full_name(load_balancer, "service"),
                                    .hostname = text(load_balancer, "hostname"),
                                    .origin = text(load_balancer, "origin")},
                  .responder = optional_peer(member(line, "responder")),
                  .backend = optional_peer(member(line, "backend")),
                  .evidence = std::nullopt,
                  .outcome = text(outcome, "state"),
                  .drop_reason = text(outcome, "drop_reason"),
                  .drop_location = text(outcome, "drop_location"),
                  .proof = text(line, "proof"),
                  .mismatched = number<std::uint64_t>(member(line, "problem"), "mismatched"),
                  .packets = {},
                  .broken_packets = 0};
  if (const Json& of_attempt = member(line, "evidence"); of_attempt.is_object()) {
    alert.evidence = evidence(of_attempt);
  }
  read_packets(member(line, "packets"), alert);
  return alert;
}

}  // namespace hairpind
