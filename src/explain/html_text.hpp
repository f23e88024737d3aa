// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "hairpind/explain/cluster_state.hpp"
#include "hairpind/explain/ladder.hpp"

namespace hairpind {

/// <tag class="class_name">text</tag>, the text escaped.
std::string element(std::string_view tag, std::string_view text, std::string_view class_name = "");

/// What happened and what should have, as two drawings. Steps are numbered from 1.
std::string ladder_svg(const Ladder& ladder);
/// From the first alert to the last: a row for each problem, its changes as marks.
std::string timeline_svg(const ClusterState& state, const std::vector<std::size_t>& problems);

/// A step's offset, "+0.122 ms"; empty where it is not known.
std::string offset_text(const Step& step);

/// The sections of the page.
std::string summary_section(const ClusterState& state, const std::vector<std::size_t>& problems);
std::string problem_section(const ClusterState& state, std::size_t index, std::string_view incident);

}  // namespace hairpind
