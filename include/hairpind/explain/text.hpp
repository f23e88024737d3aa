// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "hairpind/explain/cluster_state.hpp"

namespace hairpind {

/// How text is shown.
struct TextStyle {
  std::size_t columns = 120;
  bool colours = false;  ///< ANSI's, for a terminal
};

/// The state of the cluster: a line for each problem, worst first, and what to do. Ends with a newline.
std::string cluster_text(const ClusterState& state, const TextStyle& style);

/// The ladder of an incident, on each node that told of it. Empty if there is none of this id.
std::string incident_text(const ClusterState& state, std::string_view incident, const TextStyle& style);

}  // namespace hairpind
