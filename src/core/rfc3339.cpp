// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/rfc3339.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>

namespace hairpind {
namespace {

// -1 for what is no digit.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') {
      return -1;
    }
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

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

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  constexpr std::string_view kPattern = "dddd-dd-ddTdd:dd:dd";
  if (text.size() <= kPattern.size() || text.back() != 'Z') {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < kPattern.size(); i++) {
    if (kPattern[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != kPattern[i]) {
      return std::nullopt;
    }
  }
  const std::chrono::year_month_day date(std::chrono::year(digits(text, 0, 4)),
                                         std::chrono::month(static_cast<unsigned>(digits(text, 5, 2))),
                                         std::chrono::day(static_cast<unsigned>(digits(text, 8, 2))));
  const int hours = digits(text, 11, 2);
  const int minutes = digits(text, 14, 2);
  const int seconds = digits(text, 17, 2);
  std::string_view fraction = text.substr(kPattern.size());
  fraction.remove_suffix(1);
  // What nanoseconds since 1970 can hold.
  if (!date.ok() || date.year() < std::chrono::year(1970) || date.year() > std::chrono::year(2200) || hours > 23 ||
      minutes > 59 || seconds > 60 || fraction.size() == 1 || fraction.size() > 10 ||
      (!fraction.empty() && fraction.front() != '.')) {
    return std::nullopt;
  }
  std::int64_t nanoseconds = 0;
  if (!fraction.empty()) {
    fraction.remove_prefix(1);
    const int value = digits(fraction, 0, fraction.size());
    if (value < 0) {
      return std::nullopt;
    }
    nanoseconds = value;
    for (std::size_t i = fraction.size(); i < 9; i++) {
      nanoseconds *= 10;
    }
  }
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hours) + std::chrono::minutes(minutes) +
         std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds);
}

}  // namespace hairpind
