// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "hairpind/core/alert.hpp"

namespace hairpind {

/// RFC 3339, in UTC, to the microsecond: "2026-11-23T07:20:24.239725Z".
std::string to_rfc3339(WallTime time);

}  // namespace hairpind
