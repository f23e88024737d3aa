// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace hairpind::testing {

/// Validates one alert against docs/alert-v1.schema.json with a JSON Schema library, and refuses fields the schema
/// does not list. Empty if valid, else why not.
std::string schema_violations(const std::string& line);
/// The same of /v1/status and docs/status-v1.schema.json.
std::string status_violations(const std::string& json);
/// The same of hairpind explain -o json and docs/explain-v1.schema.json.
std::string explain_violations(const std::string& json);

}  // namespace hairpind::testing
