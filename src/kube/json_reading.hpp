// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hairpind {

enum class ParseFault : std::uint8_t {
  kNotJson,
  kTooLarge,  ///< more values than any true object has: what is parsed takes far more memory than its text
};

/// One object of the API server, without the parts of it that nobody reads.
std::expected<nlohmann::json, ParseFault> parse_object(std::string_view text);

/// The string at a JSON pointer, empty if there is none.
std::string text_at(const nlohmann::json& object, const char* pointer);

}  // namespace hairpind
