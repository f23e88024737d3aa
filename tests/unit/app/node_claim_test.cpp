// SPDX-License-Identifier: Apache-2.0
#include "node_claim.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace hairpind {
namespace {

TEST(NodeClaim, IsOneAgentsUntilItIsGone) {
  const std::string name = "hairpind-test-" + std::to_string(getpid());
  {
    const auto first = claim_node(name);
    ASSERT_TRUE(first) << first.error().message;
    const auto second = claim_node(name);
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().message, ::testing::HasSubstr("another hairpind runs in this network namespace"));
    EXPECT_TRUE(claim_node(name + "-other"));
  }
  EXPECT_TRUE(claim_node(name));
}

}  // namespace
}  // namespace hairpind
