// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "metrics_page.hpp"
#include "status_board.hpp"

namespace hairpind {

/// /v1/status, one JSON object (schema hairpind.status/v1, docs/status-v1.schema.json): what this node's agent knows
/// now. `now` as the board's clock, `wall` as a person's.
///
/// Called by the HTTP server's thread. Pure.
std::string render_status(const Status& status, const KernelCounts* counts, const std::string& node, SinceBoot now,
                          WallTime wall);

}  // namespace hairpind
