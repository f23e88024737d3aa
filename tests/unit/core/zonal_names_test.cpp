// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/zonal_names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ZonalNames, OfANetworkLoadBalancerAreItsRegionsLetters) {
  EXPECT_THAT(zonal_names("my-nlb-1234567890abcdef.elb.us-east-1.amazonaws.com"),
              ElementsAre("us-east-1a.my-nlb-1234567890abcdef.elb.us-east-1.amazonaws.com",
                          "us-east-1b.my-nlb-1234567890abcdef.elb.us-east-1.amazonaws.com",
                          "us-east-1c.my-nlb-1234567890abcdef.elb.us-east-1.amazonaws.com",
                          "us-east-1d.my-nlb-1234567890abcdef.elb.us-east-1.amazonaws.com",
                          "us-east-1e.my-nlb-1234567890abcdef.elb.us-east-1.amazonaws.com",
                          "us-east-1f.my-nlb-1234567890abcdef.elb.us-east-1.amazonaws.com"));
}

TEST(ZonalNames, InChinaAndInGovCloud) {
  EXPECT_EQ(zonal_names("a-1.elb.cn-northwest-1.amazonaws.com.cn").at(1),
            "cn-northwest-1b.a-1.elb.cn-northwest-1.amazonaws.com.cn");
  EXPECT_EQ(zonal_names("a-1.elb.us-gov-west-1.amazonaws.com").at(0),
            "us-gov-west-1a.a-1.elb.us-gov-west-1.amazonaws.com");
}

TEST(ZonalNames, CapitalsAreNoOtherName) {
  EXPECT_EQ(zonal_names("Stage-24.ELB.eu-west-1.AmazonAWS.com").at(0),
            "eu-west-1a.stage-24.elb.eu-west-1.amazonaws.com");
}

TEST(ZonalNames, OthersHaveNone) {
  for (const char* const other :
       {"a0123-77.eu-west-1.elb.amazonaws.com", "dualstack.a0123-77.eu-west-1.elb.amazonaws.com",
        "a-1.cn-north-1.elb.amazonaws.com.cn", "eu-west-1a.my-nlb-12.elb.eu-west-1.amazonaws.com",
        "elb.eu-west-1.amazonaws.com", ".elb.eu-west-1.amazonaws.com", "a.elb..amazonaws.com",
        "a.elb.internal.amazonaws.com", "a.elb.not-a-region.amazonaws.com", "a.elb.9.amazonaws.com",
        "a.elb.eu-west-1.amazonaws.com.example.net", "a.elb.eu-west-1.notamazonaws.com", "a.elb.eu-west-1",
        "a.belb.eu-west-1.amazonaws.com", "ec2-1.eu-west-1.compute.amazonaws.com", "lb.example.com", "localhost", ""}) {
    EXPECT_THAT(zonal_names(other), IsEmpty()) << other;
  }
}

TEST(ZonalNames, NoneIsLongerThanANameMayBe) {
  const std::string end = ".elb.eu-west-1.amazonaws.com";
  EXPECT_EQ(zonal_names(std::string(253 - end.size() - 11, 'x') + end).size(), 6);
  EXPECT_THAT(zonal_names(std::string(253 - end.size() - 10, 'x') + end), IsEmpty());
}

}  // namespace
}  // namespace hairpind
