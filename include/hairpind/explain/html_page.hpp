// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "hairpind/explain/cluster_state.hpp"

namespace hairpind {

/// One page that needs nothing else: no script, no other resource, light and dark, fit for print. Summary, timeline,
/// and for each incident ladder, evidence and fix; only of `incident` and its problem where it is not empty.
std::string html_page(const ClusterState& state, std::string_view incident);

}  // namespace hairpind
