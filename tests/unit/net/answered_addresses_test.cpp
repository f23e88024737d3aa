// SPDX-License-Identifier: Apache-2.0
#include "answered_addresses.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

std::vector<IpAddress> addresses_of(const AnsweredAddresses& answered) {
  std::vector<IpAddress> addresses;
  for (const auto& [address, last] : answered.all()) {
    addresses.push_back(address);
  }
  return addresses;
}

const AnsweredAddresses::Time kBegin{};

TEST(AnsweredAddresses, WhatIsAnsweredAgainIsNewAgain) {
  AnsweredAddresses answered;
  answered.add({ip("10.0.5.5"), ip("10.0.5.6")}, kBegin);
  answered.add({ip("10.0.5.6")}, kBegin + 10s);
  answered.forget_before(kBegin);
  EXPECT_THAT(addresses_of(answered), ElementsAre(ip("10.0.5.5"), ip("10.0.5.6")));
  answered.forget_before(kBegin + 1s);
  EXPECT_THAT(addresses_of(answered), ElementsAre(ip("10.0.5.6")));
}

TEST(AnsweredAddresses, TheNewestAreKeptAndOfTheSameAgeThoseThatAreToldThenTheLower) {
  AnsweredAddresses answered;
  answered.add({ip("10.0.5.1"), ip("10.0.5.2")}, kBegin);
  answered.add({ip("10.0.5.3"), ip("10.0.5.4"), ip("10.0.5.5")}, kBegin + 1s);
  answered.add({ip("10.0.5.9")}, kBegin + 2s);
  const std::set<IpAddress> told{ip("10.0.5.1"), ip("10.0.5.4")};
  EXPECT_EQ(answered.keep_newest(6, told), 0);
  EXPECT_EQ(answered.all().size(), 6);
  EXPECT_EQ(answered.keep_newest(3, told), 3);
  EXPECT_THAT(addresses_of(answered), ElementsAre(ip("10.0.5.3"), ip("10.0.5.4"), ip("10.0.5.9")));
  EXPECT_EQ(answered.keep_newest(2, told), 1);
  EXPECT_THAT(addresses_of(answered), ElementsAre(ip("10.0.5.4"), ip("10.0.5.9")));
}

}  // namespace
}  // namespace hairpind
