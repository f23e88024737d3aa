// SPDX-License-Identifier: Apache-2.0
#include "segment.hpp"

#include <gtest/gtest.h>

#include <string>

namespace hairpind {
namespace {

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) {
    text += static_cast<char>(value);
  }
  return text;
}

// 14482 to 443, seq 1, ack 2, SYN-ACK.
const std::string kTcpHeader = bytes({0x38, 0x92, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 0, 0, 0, 0, 0, 0});

std::string v4(int version_and_length, int fragment, int protocol) {
  return bytes({version_and_length, 0, 0, 40, 0, 1, 0, fragment, 64, protocol, 0, 0, 10, 0, 1, 10, 10, 0, 5, 5});
}

std::string v6(int next) {
  return bytes({0x60, 0, 0, 0, 0, 20, next, 64}) + bytes({0xfd, 0}) + std::string(13, '\0') + "\x01" +
         bytes({0xfd, 0}) + std::string(13, '\0') + "\x05";
}

void expect_it(const std::string& packet, const char* source, const char* destination) {
  const auto segment = parse_segment(packet);
  ASSERT_TRUE(segment);
  EXPECT_EQ(segment->source.to_string(), source);
  EXPECT_EQ(segment->destination.to_string(), destination);
  EXPECT_EQ(segment->seq, 1);
  EXPECT_EQ(segment->ack, 2);
  EXPECT_EQ(segment->flags(), "SYN-ACK");
}

TEST(Segment, BehindHeadersOfAnyLength) {
  expect_it(v4(0x45, 0, 6) + kTcpHeader, "10.0.1.10:14482", "10.0.5.5:443");
  expect_it(v4(0x46, 0, 6) + bytes({1, 1, 1, 0}) + kTcpHeader, "10.0.1.10:14482", "10.0.5.5:443");
  expect_it(v6(6) + kTcpHeader, "[fd00::1]:14482", "[fd00::5]:443");
  const std::string hop_by_hop = bytes({60, 0}) + std::string(6, '\0');
  const std::string destination_options = bytes({6, 1}) + std::string(14, '\0');
  expect_it(v6(0) + hop_by_hop + destination_options + kTcpHeader, "[fd00::1]:14482", "[fd00::5]:443");
}

TEST(Segment, WhatIsNoneIsNotReadAsOne) {
  EXPECT_FALSE(parse_segment(""));
  EXPECT_FALSE(parse_segment(v4(0x45, 8, 6) + kTcpHeader)) << "a later fragment has no ports";
  EXPECT_FALSE(parse_segment(v4(0x45, 0, 17) + kTcpHeader));
  EXPECT_FALSE(parse_segment(v4(0x44, 0, 6) + kTcpHeader));
  EXPECT_FALSE(parse_segment(v6(17) + kTcpHeader));
  EXPECT_FALSE(parse_segment(v6(60) + bytes({6, 255}) + std::string(6, '\0') + kTcpHeader));
  for (const std::string& head : {v4(0x45, 0, 6), v6(6)}) {
    for (std::size_t length = 0; length < head.size() + 14; length++) {
      EXPECT_FALSE(parse_segment((head + kTcpHeader).substr(0, length))) << length;
    }
  }
}

}  // namespace
}  // namespace hairpind
