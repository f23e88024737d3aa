// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/kubernetes.hpp"

#include <gtest/gtest.h>

namespace hairpind {
namespace {

TEST(KubernetesVersion, IsMajorAndMinor) {
  const auto version = KubernetesVersion::parse("v1.31.4-eks-1a2b3c");
  ASSERT_TRUE(version);
  EXPECT_EQ(version->to_string(), "1.31");
  EXPECT_EQ(KubernetesVersion::parse("1.9+"), (KubernetesVersion{.major = 1, .minor = 9}));
  EXPECT_LT(*KubernetesVersion::parse("v1.9.0"), *version) << "numbers, not text";
  EXPECT_LT(*version, *KubernetesVersion::parse("v2.0"));
  for (const char* const text : {"", "v", "v1", "v1.", "one.two", "v.1", "v1,31"}) {
    EXPECT_FALSE(KubernetesVersion::parse(text)) << text;
  }
}

}  // namespace
}  // namespace hairpind
