// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hairpind {

/// RFC 4648, section 4: padded, without line breaks. nullopt for what is not, or has anything else in it.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

}  // namespace hairpind
