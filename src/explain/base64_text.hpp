// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hairpind {

/// RFC 4648, padded, without line breaks, as the agent writes it; nullopt for anything else, such as what was cut off.
std::optional<std::string> bytes_of_base64(std::string_view text);

}  // namespace hairpind
