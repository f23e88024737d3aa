// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/base64.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace hairpind {
namespace {

TEST(Base64, BothWaysAsRfc4648HasThem) {
  for (const auto& [bytes, text] : {std::pair{"", ""}, std::pair{"f", "Zg=="}, std::pair{"fo", "Zm8="},
                                    std::pair{"foo", "Zm9v"}, std::pair{"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(encode_base64(bytes), text);
    EXPECT_EQ(decode_base64(text), bytes);
  }
  const std::string zeros(5, '\0');
  EXPECT_EQ(decode_base64(encode_base64(zeros)), zeros);
}

TEST(Base64, NothingElseIsTaken) {
  for (const char* const text :
       {"Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Z=g=", " Zm9v", "Zm9v\n", "Zm 9", "Zm9_"}) {
    EXPECT_FALSE(decode_base64(text)) << text;
  }
}

}  // namespace
}  // namespace hairpind
