// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "hairpind/core/rfc3339.hpp"
#include "hairpind/explain/alert_log.hpp"
#include "hairpind/explain/cluster_state.hpp"

namespace hairpind::testing {

/// An alert as the agent writes it; a test changes what it is about.
inline nlohmann::json alert_line() {
  return nlohmann::json::parse(R"({
    "schema":"hairpind.alert/v1","event":"asymmetric_handshake","time":"2026-11-24T02:43:12.790622Z","node":"n1",
    "incident":"b775f4d550e3d157","severity":"critical","cause":"hairpin_ip_target","count":1,
    "message":"SYN from 10.0.1.10:14482 was answered by 10.0.1.20:8443","hint":"Turn off client IP preservation.",
    "client":{"ip":"10.0.1.10","port":14482,"pod":"cart-1","namespace":"shop"},
    "load_balancer":{"ip":"10.0.5.5","port":443,"origin":"service","service":"web","namespace":"shop"},
    "responder":{"ip":"10.0.1.20","port":8443,"kind":"local_pod"},"backend":{"ip":"10.0.1.20","port":8443},
    "evidence":{"syn_isn":1451877577,"synack_ack":1451877578,"isn_match":true,"returned_syn":true,
                "syn_interface":"veth1","synack_interface":"veth2","syn_to_synack_us":122,
                "conntrack":"no_entry","conntrack_source":"kernel"},
    "outcome":{"state":"reset_by_client","drop_reason":null,"drop_location":null}})");
}

/// "2026-11-24T<clock>Z".
inline WallTime at(const std::string& clock) {
  return *parse_rfc3339("2026-11-24T" + clock + "Z");
}

inline nlohmann::json told_at(const std::string& clock, const std::string& event = "asymmetric_handshake",
                              std::uint64_t count = 1) {
  auto line = alert_line();
  line["time"] = to_rfc3339(at(clock));
  line["event"] = event;
  line["count"] = count;
  return line;
}

/// One file with these lines.
inline AlertLog log_of(const std::vector<nlohmann::json>& lines) {
  AlertLog log;
  std::uint64_t number = 0;
  for (const auto& line : lines) {
    log.read_line(line.dump(), "log", ++number);
  }
  return log;
}

inline ClusterState state_of(const std::vector<nlohmann::json>& lines, const std::string& now = "03:00:00") {
  return conclude(log_of(lines), lines.size(), at(now));
}

/// An IPv4 SYN of 40 bytes, 10.0.1.10:14482 to 10.0.5.5:443, ISN 1451877577, in base64.
inline const char* const kSynPacket = "RQAAKAABQABABgAACgABCgoABQU4kgG7VonkyQAAAABQAvrwAAAAAA==";
/// A SYN-ACK, 10.0.1.20:8443 to 10.0.1.10:14482.
inline const char* const kSynAckPacket = "RQAAKAABQABABgAACgABFAoAAQog+ziSAAAATVaJ5MpQEvrwAAAAAA==";

inline nlohmann::json evidence_line() {
  auto line = told_at("02:43:14", "asymmetric_handshake_evidence");
  line["packets"] = {{{"time", "2026-11-24T02:43:14.000100Z"},
                      {"hook", "from_pod"},
                      {"interface", "veth1"},
                      {"length", 40},
                      {"data", kSynPacket}},
                     {{"time", "2026-11-24T02:43:14.000222Z"},
                      {"hook", "from_pod"},
                      {"interface", "veth2"},
                      {"length", 40},
                      {"data", kSynAckPacket}},
                     {{"time", "2026-11-24T02:43:14.000230Z"},
                      {"hook", "tcp_send_reset"},
                      {"note", "the client's stack answers with RST"}}};
  return line;
}

}  // namespace hairpind::testing
