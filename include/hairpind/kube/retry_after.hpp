// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace hairpind {

/// How long a Retry-After header asks to wait, at most a day: a number of seconds, or a date (RFC 9110, 10.2.3) from
/// which the response's own Date is taken away, or `now` where that is missing. nullopt for what is neither.
std::optional<std::chrono::seconds> parse_retry_after(const std::string& value, const std::string& response_date,
                                                      std::chrono::sys_seconds now);

}  // namespace hairpind
