// SPDX-License-Identifier: Apache-2.0
#include "providers/aws_attributes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace hairpind::providers {
namespace {

TEST(AttributesIn, AreTrimmedInOrder) {
  const auto attributes = attributes_in(" a=1 , b.c = 2=3,d=");
  ASSERT_EQ(attributes.size(), 3U);
  EXPECT_EQ(attributes[0]->name, "a");
  EXPECT_EQ(attributes[0]->value, "1");
  EXPECT_EQ(attributes[1]->name, "b.c");
  EXPECT_EQ(attributes[1]->value, "2=3");
  EXPECT_EQ(attributes[2]->value, "");
}

TEST(AttributesIn, EntriesThatControllersRefuseAreHoles) {
  for (const char* const text : {"a", "=1", ",", "a=1,,b=2", "a=1,"}) {
    const auto attributes = attributes_in(text);
    EXPECT_TRUE(std::ranges::any_of(attributes, [](const auto& each) { return !each; })) << text;
  }
  EXPECT_TRUE(attributes_in("").empty());
  EXPECT_TRUE(attributes_in(" \t\n").empty());
}

TEST(PreservationIn, LastOneCountsAndOneBrokenBreaksAll) {
  EXPECT_EQ(preservation_in("a=b"), Preservation::kAbsent);
  EXPECT_EQ(preservation_in("preserve_client_ip.enabled=true,preserve_client_ip.enabled=false"), Preservation::kOff);
  EXPECT_EQ(preservation_in("preserve_client_ip.enabled=false,preserve_client_ip.enabled=T"), Preservation::kOn);
  EXPECT_EQ(preservation_in("preserve_client_ip.enabled=maybe,preserve_client_ip.enabled=false"),
            Preservation::kBroken);
  EXPECT_EQ(preservation_in("preserve_client_ip.enabled=false,x"), Preservation::kBroken);
}

}  // namespace
}  // namespace hairpind::providers
