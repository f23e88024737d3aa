// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/cilium_identities.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(CiliumIdentitiesTest, ReservedOnesAreKnownByTheirNamesAndNeverAskedAbout) {
  CiliumIdentities identities;
  EXPECT_THAT(identities.labels(1), ElementsAre("reserved:host"));
  EXPECT_THAT(identities.labels(2), ElementsAre("reserved:world"));
  EXPECT_THAT(identities.labels(6), ElementsAre("reserved:remote-node"));
  EXPECT_THAT(identities.labels(8), ElementsAre("reserved:ingress"));
  EXPECT_THAT(identities.labels(11), IsEmpty());
  for (const std::uint32_t identity : {0U, 1U, 8U, 100U, 255U}) {
    EXPECT_FALSE(identities.is_to_be_asked(identity, 0s)) << identity;
  }
  EXPECT_FALSE(identities.is_to_be_asked((1U << 24U) + 5, 0s)) << "a node's own, of a prefix";
}

TEST(CiliumIdentitiesTest, EachIsAskedAboutOnceInTenMinutes) {
  CiliumIdentities identities;
  EXPECT_TRUE(identities.is_to_be_asked(12345, 100s));
  EXPECT_FALSE(identities.is_to_be_asked(12345, 101s));
  EXPECT_TRUE(identities.is_to_be_asked(256, 101s)) << "another";
  identities.set(12345, {"k8s:app=web"});
  EXPECT_FALSE(identities.is_to_be_asked(12345, 699s));
  EXPECT_TRUE(identities.is_to_be_asked(12345, 700s));
  EXPECT_THAT(identities.labels(12345), ElementsAre("k8s:app=web")) << "kept while it is asked again";
  EXPECT_THAT(identities.labels(256), IsEmpty());
}

TEST(CiliumIdentitiesTest, ManyOfThemTakeNoMoreRoom) {
  CiliumIdentities identities;
  for (std::uint32_t i = 0; i < CiliumIdentities::kMost + 1; i++) {
    ASSERT_TRUE(identities.is_to_be_asked(1000 + i, std::chrono::seconds(i)));
    identities.set(1000 + i, {"k8s:n=" + std::to_string(i)});
  }
  EXPECT_THAT(identities.labels(1000), IsEmpty()) << "asked about longest ago";
  EXPECT_THAT(identities.labels(1001), ElementsAre("k8s:n=1"));
  EXPECT_THAT(identities.labels(1000 + CiliumIdentities::kMost), ElementsAre("k8s:n=256"));
  identities.set(1000, {"k8s:late=yes"});
  EXPECT_THAT(identities.labels(1000), IsEmpty()) << "nobody asked";
}

}  // namespace
}  // namespace hairpind
