// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace hairpind {

/// Line breaks and blanks are passed over; nullopt for what is not base64.
std::optional<std::string> decode_base64(const std::string& encoded);
std::string encode_base64(const std::string& bytes);

}  // namespace hairpind
