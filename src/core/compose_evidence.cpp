// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/compose_evidence.hpp"

#include <string>

#include "alert_message.hpp"
#include "hairpind/core/printable.hpp"

namespace hairpind {
namespace {

constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kRst = 0x04;
constexpr std::uint8_t kAck = 0x10;

std::string_view name_of(std::uint8_t tcp_flags) {
  if ((tcp_flags & kRst) != 0) {
    return "RST";
  }
  if ((tcp_flags & kSyn) == 0) {
    return "ACK";
  }
  return (tcp_flags & kAck) != 0 ? "SYN-ACK" : "SYN";
}

std::string note_on(const CapturedPacket& packet, bool host_client) {
  switch (packet.sensor) {
    case Sensor::kDrop:
      return "the kernel dropped the " + std::string(name_of(packet.tcp_flags));
    case Sensor::kReset:
      return std::string(host_client ? "the node's" : "the client's") + " stack answers the " +
             std::string(name_of(packet.tcp_flags)) + " with RST";
    case Sensor::kFromPod:
    case Sensor::kToPod:
    case Sensor::kFromNet:
    case Sensor::kToNet:
      break;
  }
  return {};
}

}  // namespace

Alert compose_evidence(const Evidence& evidence, std::uint64_t count, const AlertSources& sources) {
  const Attempt& attempt = evidence.mismatch.attempt;
  Alert alert = compose_alert({.event = AlertEvent::kAsymmetricHandshakeEvidence,
                               .key = IncidentKey::of(attempt),
                               .count = count,
                               .time = evidence.mismatch.time,
                               .example = attempt,
                               .drop_symbol = evidence.mismatch.drop_symbol},
                              sources);
  // The incident's own alert calls somebody; this is for who comes.
  alert.severity = Severity::kInfo;
  for (const CapturedPacket& packet : evidence.packets) {
    alert.packets.push_back(
        {.time = WallTime(packet.time + sources.boot_to_wall),
         .sensor = packet.sensor,
         .interface = packet.ifindex == 0 ? std::nullopt : sources.interface_name(packet.ifindex),
         .length = packet.length,
         .data = packet.data,
         .reason = packet.sensor == Sensor::kDrop ? sources.drop_reason_name(packet.drop_reason) : std::nullopt,
         .note = note_on(packet, attempt.host_client)});
  }
  alert.message =
      printable(std::to_string(alert.packets.size()) + " sightings of its packets: " + alert.message, kMostOfAMessage);
  return alert;
}

}  // namespace hairpind
