// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/address.hpp"

#include <gtest/gtest.h>

namespace hairpind {
namespace {

TEST(IpAddress, ReadsAndWritesBothFamilies) {
  for (const char* const text : {"10.0.5.5", "0.0.0.0", "255.255.255.255", "fd00:1::10", "::1", "fe80::1"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
    EXPECT_EQ(address->is_v4(), std::string_view(text).find(':') == std::string_view::npos);
  }
}

TEST(IpAddress, MappedV4IsTheV4Address) {
  EXPECT_EQ(IpAddress::parse("::ffff:10.0.5.5"), IpAddress::parse("10.0.5.5"));
}

TEST(IpAddress, RefusesWhatIsNone) {
  for (const char* const text : {"", "10.0.5", "10.0.5.256", "10.0.5.5 ", "010.0.5.5", "[::1]", "fe80::1%eth0", "x"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, SurvivesTheBoundary) {
  const auto address = IpAddress::parse("fd00:1:2:3:4:5:6:7");
  ASSERT_TRUE(address);
  EXPECT_EQ(IpAddress::from_abi(address->to_abi()), *address);
  const std::uint8_t three[3]{};
  EXPECT_FALSE(IpAddress::from_network(three, sizeof(three)));
}

TEST(Endpoint, PortIsSwappedAtTheBoundary) {
  const Endpoint endpoint{.address = *IpAddress::parse("10.0.5.5"), .port = 443};
  const hp_endpoint raw = endpoint.to_abi();
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&raw.port);
  EXPECT_EQ(bytes[0], 443 >> 8);
  EXPECT_EQ(bytes[1], 443 & 0xff);
  EXPECT_EQ(Endpoint::from_abi(raw), endpoint);
}

TEST(Endpoint, V6IsWrittenInBrackets) {
  EXPECT_EQ((Endpoint{.address = *IpAddress::parse("fd00::5"), .port = 443}.to_string()), "[fd00::5]:443");
  EXPECT_EQ((Endpoint{.address = *IpAddress::parse("10.0.5.5"), .port = 443}.to_string()), "10.0.5.5:443");
}

TEST(Endpoint, OnlyAllZeroIsEmpty) {
  EXPECT_TRUE(Endpoint{}.empty());
  EXPECT_FALSE((Endpoint{.address = {}, .port = 1}.empty()));
}

}  // namespace
}  // namespace hairpind
