// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "hairpind/core/alert.hpp"

namespace hairpind {

/// RFC 3339, in UTC, to the microsecond: "2026-11-23T07:20:24.239725Z".
std::string to_rfc3339(WallTime time);
/// Of a time in UTC ("...Z"), up to nanoseconds, from 1970 to 2200.
std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace hairpind
