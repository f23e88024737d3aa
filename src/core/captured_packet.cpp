// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/captured_packet.hpp"

#include <cstring>

namespace hairpind {

std::string_view to_string(Sensor sensor) {
  switch (sensor) {
    case Sensor::kFromPod:
      return "from_pod";
    case Sensor::kToPod:
      return "to_pod";
    case Sensor::kFromNet:
      return "from_net";
    case Sensor::kToNet:
      return "to_net";
    case Sensor::kDrop:
      return "kfree_skb";
    case Sensor::kReset:
      break;
  }
  return "tcp_send_reset";
}

bool is_packet(std::span<const std::byte> record) {
  std::uint32_t kind = 0;
  if (record.size() < sizeof(kind)) {
    return false;
  }
  std::memcpy(&kind, record.data(), sizeof(kind));
  return kind == HP_EVENT_PACKET;
}

std::expected<CapturedPacket, std::string> decode_packet(std::span<const std::byte> record) {
  if (record.size() != sizeof(hp_packet)) {
    return std::unexpected("packet of " + std::to_string(record.size()) + " bytes, expected " +
                           std::to_string(sizeof(hp_packet)));
  }
  // Copied out, as events are.
  hp_packet raw{};
  std::memcpy(&raw, record.data(), sizeof(raw));
  if (raw.sensor >= HP_SENSOR_COUNT) {
    return std::unexpected("packet from the unknown sensor " + std::to_string(raw.sensor));
  }
  if (raw.data_length > HP_PACKET_DATA) {
    return std::unexpected("packet with " + std::to_string(raw.data_length) + " bytes of data, expected at most " +
                           std::to_string(HP_PACKET_DATA));
  }
  const std::span data(raw.data);
  return CapturedPacket{
      .attempt = {.client = Endpoint::from_abi({.address = raw.attempt.client, .port = raw.attempt.port, .pad = 0}),
                  .isn = raw.attempt.isn,
                  .load_balancer = Endpoint::from_abi(raw.lb)},
      .time = SinceBoot(static_cast<std::int64_t>(raw.time_ns)),
      .sensor = static_cast<Sensor>(raw.sensor),
      .ifindex = raw.ifindex,
      .length = raw.length,
      .drop_reason = raw.drop_reason,
      .tcp_flags = raw.tcp_flags,
      .data = std::vector<std::uint8_t>(data.begin(), data.begin() + raw.data_length)};
}

}  // namespace hairpind
