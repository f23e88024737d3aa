// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace hairpind::providers {

/// One entry of a list of target group attributes, trimmed; lives as long as the text it was taken from.
struct Attribute {
  std::string_view name;
  std::string_view value;
};

/// "k=v, k=v"; nothing for an entry without "=" or without a name, which the controllers refuse.
std::vector<std::optional<Attribute>> attributes_in(std::string_view text);

/// What a setting says of client IP preservation.
enum class Preservation : std::uint8_t { kAbsent, kOn, kOff, kBroken };

/// Of a value. The AWS Load Balancer Controller takes Go's other spellings (strconv.ParseBool) too and hands them on as
/// they are. Whether AWS then takes them is not known: one of true may turn preservation on, one of false need not turn
/// it off.
Preservation preservation_of(std::string_view value);

/// Of a list of attributes: the last one counts, and one broken entry breaks all.
Preservation preservation_in(std::string_view text);

}  // namespace hairpind::providers
