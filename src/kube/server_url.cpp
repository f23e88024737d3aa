// SPDX-License-Identifier: Apache-2.0
#include "server_url.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace hairpind {

std::optional<Url> parse_url(std::string_view text) {
  Url url;
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  url.scheme = text.substr(0, colon);
  std::ranges::transform(url.scheme, url.scheme.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view rest = text.substr(colon + 3);
  // It goes into a line of HTTP as it stands.
  if (std::ranges::any_of(rest, [](unsigned char c) { return c <= ' ' || c == '?' || c == '#' || c == 0x7f; })) {
    return std::nullopt;
  }
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  url.path = rest.substr(slash);
  url.path.erase(url.path.find_last_not_of('/') + 1);
  rest = rest.substr(0, slash);
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    url.user_info = rest.substr(0, at);
    rest.remove_prefix(at + 1);
  }
  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) {
      return std::nullopt;
    }
    url.host = rest.substr(1, close - 1);
    port = rest.substr(close + 1);
  } else {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    url.host = rest.substr(0, end);
    port = rest.substr(end);
  }
  if (!port.empty()) {
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), number);
    if (port.front() != ':' || error != std::errc() || end != port.data() + port.size() || number == 0) {
      return std::nullopt;
    }
    url.port = number;
  }
  return url.host.empty() ? std::nullopt : std::optional(std::move(url));
}

}  // namespace hairpind
