// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hairpind/bpf/attached_program.hpp"

namespace hairpind {
namespace {

using ::testing::HasSubstr;

TEST(AttachMode, WithoutTcxItIsClsact) {
  const KernelFeatures features = KernelFeatures::probe().without(Feature::kTcx);
  EXPECT_EQ(choose_attach_mode("auto", features), AttachMode::kClsact);
  EXPECT_EQ(choose_attach_mode("clsact", features), AttachMode::kClsact);
  const auto refused = choose_attach_mode("tcx", features);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("--attach tcx: this kernel has no TCX links"));
  const auto runnable = features.check_required();
  EXPECT_THAT(runnable ? "" : runnable.error().message, ::testing::Not(HasSubstr("tcx"))) << "TCX is not required";
}

TEST(AttachMode, WithTcxItIsAChoice) {
  const KernelFeatures features = KernelFeatures::probe();
  if (!features.has(Feature::kTcx)) {
    GTEST_SKIP() << "this kernel has no TCX links (6.6)";
  }
  EXPECT_EQ(choose_attach_mode("auto", features), AttachMode::kTcx);
  EXPECT_EQ(choose_attach_mode("tcx", features), AttachMode::kTcx);
  EXPECT_EQ(choose_attach_mode("clsact", features), AttachMode::kClsact);
}

}  // namespace
}  // namespace hairpind
