// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hairpind {

/// SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/PATH], HOST with or without brackets where it is an IPv6 address.
struct Url {
  std::string scheme;  ///< in small letters
  std::string user_info;
  std::string host;
  std::optional<std::uint16_t> port;
  std::string path;  ///< without a slash at its end; "" for the root
};

/// nullopt for what is none.
std::optional<Url> parse_url(std::string_view text);

}  // namespace hairpind
