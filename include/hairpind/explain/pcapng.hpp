// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "hairpind/explain/cluster_state.hpp"

namespace hairpind {

/// The captured packets as a pcapng file (draft-ietf-opsawg-pcapng, section version 1.0): one interface block for each
/// device of each node, named after both; packets from the network header (LINKTYPE_RAW) in time's order, nanoseconds,
/// each with a comment that says hook and meaning. Only of `incident`, or of all where it is empty. Empty if there is
/// no packet.
std::string pcapng(const ClusterState& state, std::string_view incident);

}  // namespace hairpind
