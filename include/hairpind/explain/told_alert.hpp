// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/core/alert.hpp"

namespace hairpind {

/// What an alert line said, of whatever version of hairpind: absent is what the line lacks. All text is printable() and
/// bounded: tenants write names, and anybody writes a log.
struct ToldPeer {
  std::string ip;
  std::optional<std::uint16_t> port;
  std::string pod;  ///< "namespace/name", empty where not known
  std::string workload;
  std::string kind;  ///< of a responder: local_pod, node, remote

  /// "10.0.1.10:14482", "[fd00::1]:443"; without a port the address alone.
  [[nodiscard]] std::string address() const;
};

struct ToldLoadBalancer {
  ToldPeer at;
  std::string service;  ///< "namespace/name", empty where not known
  std::string hostname;
  std::string origin;
};

/// evidence: of one attempt.
struct ToldEvidence {
  std::optional<std::uint32_t> syn_isn;
  std::optional<std::uint32_t> synack_ack;
  bool isn_match = false;
  bool returned_syn = false;
  std::string syn_interface;
  std::string synack_interface;
  std::optional<std::uint64_t> syn_to_synack_us;
  std::string conntrack;
  std::string conntrack_source;
};

/// One of `packets` of asymmetric_handshake_evidence.
struct ToldPacket {
  std::optional<WallTime> time;
  std::string hook;
  std::string interface;
  std::string note;
  std::uint32_t length = 0;  ///< on the wire, from the network header
  std::string data;          ///< bytes from the network header; empty where there are none
};

struct ToldAlert {
  std::string event;
  std::optional<WallTime> time;
  std::string node;
  std::string incident;
  std::string severity;
  std::string cause;
  std::string message;
  std::string hint;
  std::string runbook;
  ToldPeer client;
  ToldLoadBalancer load_balancer;
  std::optional<ToldPeer> responder;
  std::optional<ToldPeer> backend;
  std::optional<ToldEvidence> evidence;
  std::string outcome;  ///< its state
  std::string drop_reason;
  std::string drop_location;
  std::string proof;
  std::optional<std::uint64_t> mismatched;  ///< problem.mismatched
  std::vector<ToldPacket> packets;
  std::size_t broken_packets = 0;  ///< whose data is no base64: they have none here
};

/// nullopt for what is no JSON object.
std::optional<ToldAlert> parse_told_alert(std::string_view json);

}  // namespace hairpind
