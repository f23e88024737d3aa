// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/retry_after.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace hairpind {
namespace {

using std::chrono::seconds;

constexpr seconds kLongest = std::chrono::days(1);

// The one form that is still generated, IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7).
std::optional<std::chrono::sys_seconds> parse_date(const std::string& text) {
  std::tm parts{};
  const char* const end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') {
    return std::nullopt;
  }
  return std::chrono::sys_seconds(seconds(timegm(&parts)));
}

}  // namespace

std::optional<seconds> parse_retry_after(const std::string& value, const std::string& response_date,
                                         std::chrono::sys_seconds now) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (!value.empty() && end == value.data() + value.size()) {
    return error == std::errc() ? std::min(seconds(number), kLongest) : kLongest;
  }
  if (const auto date = parse_date(value)) {
    // The server's clock against itself: the node's may be off.
    return std::clamp(*date - parse_date(response_date).value_or(now), seconds(0), kLongest);
  }
  return std::nullopt;
}

}  // namespace hairpind
