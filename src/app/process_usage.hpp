// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "hairpind/output/metrics.hpp"

namespace hairpind {

/// Of this process, now, from /proc/self; nothing where it cannot be read. Any thread.
std::optional<ProcessUsage> read_process_usage();

}  // namespace hairpind
