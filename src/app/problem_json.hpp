// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hairpind/core/alert.hpp"
#include "hairpind/core/error.hpp"
#include "problem_watch.hpp"

namespace hairpind {

/// The clocks and the device numbers that a problem's record is told in.
struct KeptSince {
  std::string boot;                   ///< /proc/sys/kernel/random/boot_id
  WallTime::duration boot_to_wall{};  ///< what makes a time since boot a wall clock's
};

/// What another agent on this node, after a restart of the node too, can go on with. For nobody else: it may change.
std::string problems_to_json(const std::vector<KeptProblem>& problems, const KeptSince& since);

/// Reads that. Of another boot, no device's number means anything any more. Fails on what is not wholly understood.
Result<std::vector<KeptProblem>> problems_from_json(std::string_view text, const KeptSince& since);

}  // namespace hairpind
