// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "hairpind/explain/cluster_state.hpp"

namespace hairpind {

/// All that is known, as one JSON object, schema hairpind.explain/v1; only of `incident`, and its problem, where it is
/// not empty. Ends with a newline.
std::string explain_json(const ClusterState& state, std::string_view incident);

}  // namespace hairpind
