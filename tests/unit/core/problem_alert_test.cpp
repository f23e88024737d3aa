// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/problem_alert.hpp"

#include <gtest/gtest.h>

#include <string>

namespace hairpind {
namespace {

std::string reopened(const std::string& message, ProblemState state, std::uint64_t mismatched) {
  Alert alert;
  alert.message = message;
  ProblemReport before;
  before.state = state;
  before.mismatched = mismatched;
  add_reopening(alert, before);
  EXPECT_EQ(alert.problem->mismatched, mismatched);
  return alert.message;
}

TEST(AddReopening, SaysHowItStoodAndHowOftenItHadFailed) {
  EXPECT_EQ(reopened("SYN from a", ProblemState::kFixed, 1), "had looked fixed, 1 attempt before: SYN from a");
  EXPECT_EQ(reopened("SYN from a", ProblemState::kDormant, 20),
            "back after it was dormant, 20 attempts before: SYN from a");
}

TEST(AddReopening, LosesTheEndingWhereThereIsNoRoomForIt) {
  const std::string what(150, 'a');
  EXPECT_EQ(reopened(what + "; it", ProblemState::kFixed, 2), "had looked fixed, 2 attempts before: " + what + "; it");
  EXPECT_EQ(reopened(what + "; the client's kernel reset it", ProblemState::kFixed, 2),
            "had looked fixed, 2 attempts before: " + what);
  EXPECT_EQ(reopened(std::string(300, 'a'), ProblemState::kFixed, 2).size(), 200);
}

}  // namespace
}  // namespace hairpind
