// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/abi.h"
#include "hairpind/core/address.hpp"
#include "hairpind/core/event.hpp"

namespace hairpind {

/// Who saw a packet: a hook, or one of the kernel's own tracepoints and probes.
enum class Sensor : std::uint8_t {
  kFromPod = HP_SENSOR_FROM_POD,
  kToPod = HP_SENSOR_TO_POD,
  kFromNet = HP_SENSOR_FROM_NET,
  kToNet = HP_SENSOR_TO_NET,
  kDrop = HP_SENSOR_DROP,    ///< the kernel dropped it
  kReset = HP_SENSOR_RESET,  ///< a stack on this node answers it with RST
};

/// The word of alerts: "from_pod", "kfree_skb", "tcp_send_reset".
std::string_view to_string(Sensor sensor);

/// Who calls which load balancer.
struct CallingPair {
  IpAddress client;
  Endpoint load_balancer;

  auto operator<=>(const CallingPair&) const = default;
};

/// Which attempt a packet belongs to.
struct AttemptName {
  Endpoint client;
  std::uint32_t isn = 0;
  Endpoint load_balancer;

  auto operator<=>(const AttemptName&) const = default;

  static AttemptName of(const Attempt& attempt) {
    return {.client = attempt.client, .isn = attempt.isn, .load_balancer = attempt.load_balancer};
  }
};

/// One packet of an attempt, as a sensor saw it: abi.h's hp_packet, decoded and checked.
struct CapturedPacket {
  AttemptName attempt;
  SinceBoot time{};
  Sensor sensor = Sensor::kFromPod;
  std::uint32_t ifindex = 0;       ///< 0: of no device of the node's namespace
  std::uint32_t length = 0;        ///< of the packet, from its IP header on; 0 where a sensor does not tell
  std::uint32_t drop_reason = 0;   ///< of kDrop: this kernel's number
  std::uint8_t tcp_flags = 0;      ///< as in the TCP header
  std::vector<std::uint8_t> data;  ///< IP and TCP header; empty where a sensor does not tell
};

/// Is this record of the ring a packet's? One that is too short to say is none.
bool is_packet(std::span<const std::byte> record);
/// Decodes one that is; it may be truncated, oversized or unaligned. The error says why, for the log.
std::expected<CapturedPacket, std::string> decode_packet(std::span<const std::byte> record);

}  // namespace hairpind
