// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/cilium_drop.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace hairpind {
namespace {

struct Reason {
  std::uint32_t number;
  std::string_view name;
  bool policy = false;
};

// What a SYN or a SYN-ACK can meet, of pkg/monitor/api/drop.go in github.com/cilium/cilium: the same numbers from 1.13
// to 1.19.
constexpr std::array kReasons{
    Reason{132, "INVALID_SOURCE_IP"},
    Reason{133, "POLICY_DENIED", true},
    Reason{135, "CT_INVALID_HEADER"},
    Reason{137, "CT_UNKNOWN_L4_PROTOCOL"},
    Reason{140, "MISSED_TAIL_CALL"},
    Reason{150, "UNKNOWN_L3_TARGET_ADDRESS"},
    Reason{151, "STALE_OR_UNROUTABLE_IP"},
    Reason{155, "CT_MAP_INSERTION_FAILED"},
    Reason{158, "SERVICE_BACKEND_NOT_FOUND"},
    Reason{163, "UNKNOWN_CONNECTION_TRACKING_STATE"},
    Reason{167, "NO_MAPPING_FOR_NAT_MASQUERADE"},
    Reason{169, "FIB_LOOKUP_FAILED"},
    Reason{177, "DENIED_BY_LB_SRC_RANGE_CHECK"},
    Reason{181, "POLICY_DENIED_BY_DENYLIST", true},
    Reason{203, "ENDPOINT_POLICY_PROGRAM_NOT_AVAILABLE"},
};

}  // namespace

std::string cilium_drop_reason(std::uint32_t reason) {
  const auto* const found = std::ranges::find(kReasons, reason, &Reason::number);
  return "CILIUM_" + (found == kReasons.end() ? std::to_string(reason) : std::string(found->name));
}

bool is_cilium_policy_drop(std::uint32_t reason) {
  const auto* const found = std::ranges::find(kReasons, reason, &Reason::number);
  return found != kReasons.end() && found->policy;
}

}  // namespace hairpind
