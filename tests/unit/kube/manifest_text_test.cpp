// SPDX-License-Identifier: Apache-2.0
#include "manifest_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kText = "name: \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n";  // é, €, and one beyond the first plane

/// The text in UTF-16 or UTF-32, which has a character for each of `units`.
std::string encoded(std::size_t unit, bool big_endian, const std::vector<std::uint32_t>& units) {
  std::string bytes;
  for (const std::uint32_t value : units) {
    for (std::size_t i = 0; i < unit; i++) {
      const std::size_t at = big_endian ? unit - 1 - i : i;
      bytes += static_cast<char>(value >> (8 * at) & 0xffU);
    }
  }
  return bytes;
}

const std::vector<std::uint32_t> kUtf16 = {'n', 'a', 'm', 'e', ':', ' ', 0xe9, 0x20ac, 0xd83d, 0xde00, '\n'};
const std::vector<std::uint32_t> kUtf32 = {'n', 'a', 'm', 'e', ':', ' ', 0xe9, 0x20ac, 0x1f600, '\n'};

TEST(TextOf, EveryEncodingOfYaml) {
  EXPECT_EQ(*text_of(kText), kText);
  EXPECT_EQ(*text_of("\xef\xbb\xbf" + kText), kText);
  EXPECT_EQ(*text_of(""), "");
  for (const bool big_endian : {false, true}) {
    EXPECT_EQ(*text_of(encoded(2, big_endian, kUtf16)), kText) << "UTF-16 without a mark";
    EXPECT_EQ(*text_of(encoded(2, big_endian, {0xfeff}) + encoded(2, big_endian, kUtf16)), kText);
    EXPECT_EQ(*text_of(encoded(4, big_endian, kUtf32)), kText) << "UTF-32 without a mark";
    EXPECT_EQ(*text_of(encoded(4, big_endian, {0xfeff}) + encoded(4, big_endian, kUtf32)), kText);
  }
}

TEST(TextOf, BrokenTextIsAnError) {
  EXPECT_THAT(text_of(encoded(2, false, {0xfeff, 'a'}) + "b").error().message, HasSubstr("middle of a character"));
  EXPECT_THAT(text_of(encoded(2, false, {0xfeff, 0xd83d, 'a'})).error().message, HasSubstr("broken character"));
  EXPECT_THAT(text_of(encoded(2, false, {0xfeff, 0xdc00})).error().message, HasSubstr("broken character"));
  EXPECT_THAT(text_of(encoded(2, false, {0xfeff, 0xd83d})).error().message, HasSubstr("broken character"));
  EXPECT_THAT(text_of(encoded(4, true, {0xfeff, 0x110000})).error().message, HasSubstr("broken character"));
  EXPECT_THAT(text_of(std::string("\x1f\x8b\x08\x01 gzip\0\0", 11)).error().message, HasSubstr("no text"));
}

std::vector<std::pair<std::string, int>> split(const std::string& text) {
  std::vector<std::pair<std::string, int>> documents;
  for (const ManifestDocument& document : documents_in(text)) {
    documents.emplace_back(document.text, document.line);
  }
  return documents;
}

TEST(DocumentsIn, KnowTheirLine) {
  EXPECT_THAT(split("a: b"), ElementsAre(std::pair("a: b\n", 1)));
  EXPECT_THAT(split("---\na: b\n--- # two\nc: d\n"),
              ElementsAre(std::pair("\na: b\n", 1), std::pair(" # two\nc: d\n", 3)));
  EXPECT_THAT(split("a: 1\r\n---\r\nb: 2\r\n"), ElementsAre(std::pair("a: 1\r\n", 1), std::pair("\r\nb: 2\r\n", 2)));
}

TEST(DocumentsIn, WhatFollowsAnEndMarkIsNotLost) {
  EXPECT_THAT(split("a: 1\n...\nb: 2\n"), ElementsAre(std::pair("a: 1\n", 1), std::pair("\nb: 2\n", 2)));
  EXPECT_THAT(split("\xef\xbb\xbf"
                    "a: 1\n---\n\xef\xbb\xbf"
                    "b: 2\n"),
              ElementsAre(std::pair("a: 1\n", 1), std::pair("\nb: 2\n", 2)))
      << "two files put together, each with its mark";
}

TEST(DocumentsIn, JsonObjectsThatFollowEachOther) {
  EXPECT_THAT(
      split("{\"a\": \"}\\\"{\"}\n\n{\"b\": [1,\n{}]} {\"c\":1}\n"),
      ElementsAre(std::pair("{\"a\": \"}\\\"{\"}", 1), std::pair("{\"b\": [1,\n{}]}", 3), std::pair("{\"c\":1}", 4)));
  EXPECT_THAT(split("{\"a\": 1} trailing"), ElementsAre(std::pair("{\"a\": 1}", 1), std::pair("trailing\n", 1)));
  EXPECT_THAT(split("{\"a\": 1"), ElementsAre(std::pair("{\"a\": 1\n", 1)));
}

}  // namespace
}  // namespace hairpind
