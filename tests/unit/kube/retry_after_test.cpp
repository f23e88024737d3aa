// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/retry_after.hpp"

#include <gtest/gtest.h>

namespace hairpind {
namespace {

using namespace std::chrono_literals;

// 1994-11-06 08:49:37 UTC, RFC 9110's example.
constexpr std::chrono::sys_seconds kNow{784111777s};

struct Case {
  const char* value;
  const char* date;
  std::optional<std::chrono::seconds> expected;
};

TEST(ParseRetryAfter, SecondsAndDates) {
  for (const auto& [value, date, expected] : {
           Case{"0", "", 0s},
           Case{"120", "", 120s},
           Case{"100000", "", 24h},
           Case{"99999999999999999999", "", 24h},
           Case{"Sun, 06 Nov 1994 08:50:07 GMT", "", 30s},
           Case{"Sun, 06 Nov 1994 08:50:07 GMT", "Sun, 06 Nov 1994 08:50:00 GMT", 7s},
           Case{"Sun, 06 Nov 1994 08:50:07 GMT", "yesterday", 30s},
           Case{"Sun, 06 Nov 1994 08:00:00 GMT", "", 0s},
           Case{"Fri, 31 Dec 9999 23:59:59 GMT", "", 24h},
           Case{"", "", std::nullopt},
           Case{"-5", "", std::nullopt},
           Case{"5s", "", std::nullopt},
           Case{"soon", "", std::nullopt},
           Case{"Sun, 06 Nov 1994 08:50:07", "", std::nullopt},
           Case{"Sun, 06 Nov 1994 08:50:07 GMT+1", "", std::nullopt},
       }) {
    EXPECT_EQ(parse_retry_after(value, date, kNow), expected) << "'" << value << "' '" << date << "'";
  }
}

}  // namespace
}  // namespace hairpind
