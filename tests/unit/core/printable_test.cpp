// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/printable.hpp"

#include <gtest/gtest.h>

namespace hairpind {
namespace {

TEST(Printable, TextStaysAsItIs) {
  for (const char* const text : {"", "a b: \"c\"\\", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    EXPECT_EQ(printable(text), text);
  }
}

TEST(Printable, WhatATerminalWouldObeyIsShown) {
  EXPECT_EQ(printable("a\nb\tc\r\x1b[31m\x7f"), "a\\nb\\tc\\x0d\\x1b[31m\\x7f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\x9b31m")
      << "CSI as one character";
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "evil\xe2\x80\xac \xe2\x80\xa8 \xef\xbb\xbf"),
            "\\u202eevil\\u202c \\u2028 \\ufeff");
}

TEST(Printable, BytesThatAreNoUtf8AreShown) {
  EXPECT_EQ(printable("\x9b"
                      "31m"),
            "\\x9b31m");
  EXPECT_EQ(printable("\xc0\x8a \xe2\x82 \xed\xa0\x80 \xf8 \xff"), "\\xc0\\x8a \\xe2\\x82 \\xed\\xa0\\x80 \\xf8 \\xff");
  EXPECT_EQ(printable("\xe2"), "\\xe2");
}

TEST(Printable, IsCutAtACharacter) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdefg", 6), "abc...");
  EXPECT_EQ(printable("ab\xc3\xa9\xc3\xa9\xc3\xa9", 7), "ab\xc3\xa9...");
  EXPECT_EQ(printable("a\x1b\x1b\x1b", 9), "a\\x1b...");
  EXPECT_EQ(printable("abcdef", 2), "..");
  EXPECT_LE(printable(std::string(1U << 20U, '\x1b'), 100).size(), 100U);
}

}  // namespace
}  // namespace hairpind
