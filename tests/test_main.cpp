// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

// ctest's SKIP_RETURN_CODE (tests/CMakeLists.txt): a binary that tested nothing must not look like one that passed.
constexpr int kEverythingSkipped = 77;

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  const int result = RUN_ALL_TESTS();
  const auto& run = *::testing::UnitTest::GetInstance();
  const bool nothing_ran = run.skipped_test_count() > 0 && run.successful_test_count() == 0;
  return result == 0 && nothing_ran ? kEverythingSkipped : result;
}
