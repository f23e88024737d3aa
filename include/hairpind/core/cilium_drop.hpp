// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace hairpind {

/// Cilium's own reason for a drop as an alert's drop_reason: "CILIUM_POLICY_DENIED", or "CILIUM_" and the number of one
/// that is not known here.
std::string cilium_drop_reason(std::uint32_t reason);
/// Whether it is one of a network policy: what relaxing the policy hides.
bool is_cilium_policy_drop(std::uint32_t reason);

}  // namespace hairpind
