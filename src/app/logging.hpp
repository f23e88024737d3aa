// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace hairpind {

/// Points spdlog's default logger, and libbpf's messages, at stderr. `level` is debug, info, warn or error;
/// `format` text, or json: lines with the fields of an alert's beginning, `time`, `severity`, `message`, `node`. error
/// = cannot do the job, warn = degraded, info = lifecycle, debug = each decision.
void configure_logging(const std::string& level, const std::string& format, const std::string& node);

}  // namespace hairpind
