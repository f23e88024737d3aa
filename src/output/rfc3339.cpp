// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/rfc3339.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace hairpind {

std::string to_rfc3339(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto microseconds = std::chrono::floor<std::chrono::microseconds>(time - seconds).count();
  const std::time_t calendar = seconds.time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&calendar, &utc);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text.data() + length, text.size() - length, ".%06dZ", static_cast<int>(microseconds));
  return text.data();
}

}  // namespace hairpind
