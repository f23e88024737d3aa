// SPDX-License-Identifier: Apache-2.0
#include "aws_attributes.hpp"

#include <algorithm>
#include <array>

#include "aws_nlb.hpp"
#include "service_facts.hpp"

namespace hairpind::providers {

std::vector<std::optional<Attribute>> attributes_in(std::string_view text) {
  std::vector<std::optional<Attribute>> attributes;
  if (trimmed(text).empty()) {
    return attributes;
  }
  for (const std::string_view entry : split(text, ',')) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      attributes.emplace_back();
    } else {
      attributes.emplace_back(Attribute{trimmed(entry.substr(0, equals)), trimmed(entry.substr(equals + 1))});
    }
  }
  return attributes;
}

Preservation preservation_of(std::string_view value) {
  constexpr std::array<std::string_view, 6> kTrue = {"true", "True", "TRUE", "T", "t", "1"};
  if (value == "false") {
    return Preservation::kOff;
  }
  return std::ranges::find(kTrue, value) != kTrue.end() ? Preservation::kOn : Preservation::kBroken;
}

Preservation preservation_in(std::string_view text) {
  Preservation preservation = Preservation::kAbsent;
  for (const auto& attribute : attributes_in(text)) {
    if (!attribute) {
      return Preservation::kBroken;
    }
    if (attribute->name == kPreserve) {
      preservation = preservation_of(attribute->value);
      if (preservation == Preservation::kBroken) {
        return preservation;
      }
    }
  }
  return preservation;
}

}  // namespace hairpind::providers
