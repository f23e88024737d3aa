// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "network_lab.hpp"

namespace hairpind::testing {

/// kNetkitPeer: not of TCX; where the pod behind a netkit device sends.
enum class TcHook { kIngress, kEgress, kNetkitPeer };

/// Ids of the programs that TCX links hold at a hook of a device of the lab's node, in the order in which they run.
std::vector<std::uint32_t> tcx_programs(const NetworkLab& lab, const std::string& device, TcHook hook);

/// The same for the BPF filters of its clsact qdisc.
std::vector<std::uint32_t> clsact_programs(const NetworkLab& lab, const std::string& device, TcHook hook);

/// Id of the program pinned at `path`; 0 if there is none.
std::uint32_t pinned_program(const std::string& path);

}  // namespace hairpind::testing
