// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/core/error.hpp"

namespace hairpind {

/// What tells that a stack on this machine, a pod's or the node's own, refused a SYN-ACK with RST (S4). Each gives the
/// same verdicts. Another one is a new enumerator here, a case in choose_reset_sensor and a thin program beside
/// bpf/resets.h.
enum class ResetSensor : std::uint8_t {
  kNone,        ///< only where the RST leaves a pod by a hook
  kTracepoint,  ///< tcp_send_reset, from 6.10
  kDrop,        ///< kfree_skb with NO_SOCKET, from 5.17
  kKprobe,      ///< tcp_v4_send_reset and tcp_v6_send_reset; a perf event, which perf_event_paranoid may forbid
};
inline constexpr std::array kResetSensors{ResetSensor::kTracepoint, ResetSensor::kDrop, ResetSensor::kKprobe};

/// "tracepoint": as in --reset-sensor and in `hairpind check`.
std::string_view to_string(ResetSensor sensor);

/// The sensor for "auto" (the first of the above that the kernel has) or for one named. Fails where the kernel lacks
/// what was named.
Result<ResetSensor> choose_reset_sensor(std::string_view wanted, const KernelFeatures& features);

}  // namespace hairpind
