// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/pcapng.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "lines.hpp"

namespace hairpind {
namespace {

using testing::alert_line;
using testing::evidence_line;
using ::testing::HasSubstr;
using testing::state_of;

template <typename T>
T value_at(const std::string& bytes, std::size_t at) {
  T value{};
  EXPECT_LE(at + sizeof(T), bytes.size());
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

struct Block {
  std::uint32_t type = 0;
  std::string body;

  /// The options that begin at `at`.
  [[nodiscard]] std::map<std::uint16_t, std::string> options(std::size_t at) const {
    std::map<std::uint16_t, std::string> found;
    while (value_at<std::uint16_t>(body, at) != 0) {
      const auto length = value_at<std::uint16_t>(body, at + 2);
      found[value_at<std::uint16_t>(body, at)] = body.substr(at + 4, length);
      at += 4 + (length + 3U) / 4 * 4;
    }
    EXPECT_EQ(at + 4, body.size());
    return found;
  }
};

std::vector<Block> blocks(const std::string& file) {
  std::vector<Block> result;
  for (std::size_t at = 0; at < file.size();) {
    const auto length = value_at<std::uint32_t>(file, at + 4);
    EXPECT_EQ(length % 4, 0);
    EXPECT_EQ(value_at<std::uint32_t>(file, at + length - 4), length);
    result.push_back({.type = value_at<std::uint32_t>(file, at), .body = file.substr(at + 8, length - 12)});
    at += length;
  }
  return result;
}

TEST(Pcapng, BlockByBlock) {
  auto elsewhere = evidence_line();
  elsewhere["node"] = "n2";
  // Braces alone are a copy to clang, and an array to g++.
  elsewhere["packets"] = nlohmann::json::array({elsewhere["packets"][0]});
  elsewhere["packets"][0]["length"] = 60;
  elsewhere["packets"][0]["time"] = "2026-11-24T02:43:14.000000123Z";
  const auto all = blocks(pcapng(state_of({alert_line(), evidence_line(), elsewhere}), ""));
  ASSERT_EQ(all.size(), 1 + 3 + 3);
  EXPECT_EQ(all[0].type, 0x0a0d0d0a);
  EXPECT_EQ(value_at<std::uint32_t>(all[0].body, 0), 0x1a2b3c4d);
  for (std::size_t i = 1; i <= 3; i++) {
    EXPECT_EQ(all[i].type, 1);
    EXPECT_EQ(value_at<std::uint16_t>(all[i].body, 0), 101) << "raw";
    EXPECT_EQ(all[i].options(8)[9], "\x09") << "nanoseconds";
  }
  EXPECT_EQ(all[1].options(8)[2], "veth1");
  EXPECT_EQ(all[1].options(8)[3], "node n2");
  EXPECT_EQ(all[2].options(8)[2], "veth1");
  EXPECT_EQ(all[2].options(8)[3], "node n1");
  EXPECT_EQ(all[3].options(8)[2], "veth2");
  const Block& first = all[4];
  EXPECT_EQ(first.type, 6);
  EXPECT_EQ(value_at<std::uint32_t>(first.body, 0), 0);
  const auto time =
      std::uint64_t{value_at<std::uint32_t>(first.body, 4)} << 32U | value_at<std::uint32_t>(first.body, 8);
  EXPECT_EQ(time, testing::at("02:43:14.000000123").time_since_epoch().count());
  EXPECT_EQ(value_at<std::uint32_t>(first.body, 12), 40);
  EXPECT_EQ(value_at<std::uint32_t>(first.body, 16), 60);
  EXPECT_EQ(first.body.substr(20, 4), (std::string("\x45\0\0\x28", 4)));
  EXPECT_EQ(value_at<std::uint32_t>(all[5].body, 0), 1);
  EXPECT_EQ(value_at<std::uint32_t>(all[6].body, 0), 2);
  EXPECT_THAT(all[5].options(60)[1],
              HasSubstr("from_pod: SYN to the load balancer leaves the pod (incident b775f4d550e3d157)"));
  EXPECT_THAT(all[6].options(60)[1], HasSubstr("then tcp_send_reset: the client's stack answers with RST"));
  EXPECT_EQ(all[6].options(60)[2], (std::string("\1\0\0\0", 4))) << "inbound";
}

TEST(Pcapng, WhatIsDeliveredIsOutboundAndNotesStayWithTheirIncident) {
  auto line = evidence_line();
  line["packets"] = nlohmann::json::array({line["packets"][0]});
  line["packets"][0]["hook"] = "to_pod";
  auto without_bytes = evidence_line();
  without_bytes["incident"] = "c";
  without_bytes["packets"] = nlohmann::json::array({without_bytes["packets"][2]});
  const auto all = blocks(pcapng(state_of({line, without_bytes}), ""));
  ASSERT_EQ(all.size(), 1 + 1 + 1);
  EXPECT_EQ(all[2].options(60)[2], (std::string("\2\0\0\0", 4)));
  EXPECT_EQ(all[2].options(60)[1].find("tcp_send_reset"), std::string::npos);
}

TEST(Pcapng, NothingIsMadeUp) {
  EXPECT_EQ(pcapng(state_of({alert_line()}), ""), "");
  EXPECT_EQ(pcapng(state_of({evidence_line()}), "other"), "");
  EXPECT_NE(pcapng(state_of({evidence_line()}), "b775f4d550e3d157"), "");
}

}  // namespace
}  // namespace hairpind
