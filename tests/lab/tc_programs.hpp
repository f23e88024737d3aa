// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "network_lab.hpp"

namespace hairpind::testing {

enum class TcHook { kIngress, kEgress };

/// Ids of the programs that TCX links hold at a hook of a device of the lab's node, in the order in which they run.
std::vector<std::uint32_t> tcx_programs(const NetworkLab& lab, const std::string& device, TcHook hook);

/// Id of the program that the clsact filter of priority 1 and handle 1 holds at ingress of a device of the node; 0 if
/// there is none.
std::uint32_t clsact_program(const NetworkLab& lab, const std::string& device);

/// Id of the program pinned at `path`; 0 if there is none.
std::uint32_t pinned_program(const std::string& path);

}  // namespace hairpind::testing
