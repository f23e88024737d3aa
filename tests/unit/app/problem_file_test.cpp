// SPDX-License-Identifier: Apache-2.0
#include "problem_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "../core/attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ProblemFileTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(directory); }
  void TearDown() override { std::filesystem::remove_all(directory); }

  ProblemFile open() const {
    auto file = ProblemFile::open(directory);
    EXPECT_TRUE(file) << file.error().message;
    return *std::move(file);
  }
  static std::vector<KeptProblem> problems(std::uint64_t mismatched) {
    KeptProblem problem;
    problem.load_balancer = testing::endpoint("10.0.5.5", 443);
    problem.problem.mismatched = mismatched;
    return {problem};
  }

  const std::string directory = "/tmp/hairpind-problem-file-test-" + std::to_string(getpid());
  const std::string path = directory + "/problems.json";
};

TEST_F(ProblemFileTest, AnotherAgentReadsWhatWasWritten) {
  ProblemFile file = open();
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  ::testing::internal::CaptureStdout();
  EXPECT_THAT(file.read(0s), IsEmpty());
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "") << "the first agent has nothing to go on with";
  file.write(problems(3), 0s, 1s);
  file.write(problems(4), 0s, 2s);
  const auto read = open().read(0s);
  ASSERT_THAT(read, SizeIs(1));
  EXPECT_EQ(read[0].problem.mismatched, 4);
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

// Without these a restart of the node would look like one of the agent, or the other way round.
TEST_F(ProblemFileTest, KnowsTheBootAndItsClock) {
  auto kept = problems(3);
  kept[0].problem.target_gone = 7s;
  open().write(kept, 1000s, 1s);
  const auto json = nlohmann::json::parse(std::ifstream(path));
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  EXPECT_EQ(json["boot"], boot);
  EXPECT_EQ(json["boot_to_wall"], std::chrono::nanoseconds(1000s).count());
  const auto read = open().read(5000s);
  ASSERT_THAT(read, SizeIs(1));
  EXPECT_EQ(read[0].problem.target_gone, 7s);
  auto other_boot = json;
  other_boot["boot"] = "another";
  std::ofstream(path) << other_boot;
  EXPECT_EQ(open().read(5000s).at(0).problem.target_gone, 7s - 4000s);
}

TEST_F(ProblemFileTest, IsDueEveryTenSeconds) {
  ProblemFile file = open();
  EXPECT_TRUE(file.due(1s));
  file.write(problems(3), 0s, 1s);
  EXPECT_FALSE(file.due(10s));
  EXPECT_TRUE(file.due(11s));
}

TEST_F(ProblemFileTest, NothingIsWrittenWhereNothingHasChanged) {
  ProblemFile file = open();
  file.write(problems(3), 0s, 1s);
  std::filesystem::remove(path);
  file.write(problems(3), 1ns, 20s);
  EXPECT_FALSE(std::filesystem::exists(path)) << "the clocks' difference is another one each time";
  file.write(problems(4), 0s, 40s);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(ProblemFileTest, AFaultIsToldOnceAndEnds) {
  ProblemFile file = open();
  std::filesystem::create_directories(path + "/in-its-place");
  ::testing::internal::CaptureStdout();
  file.write(problems(3), 0s, 1s);
  file.write(problems(3), 0s, 20s);
  std::filesystem::remove_all(path);
  file.write(problems(3), 0s, 40s);
  const std::string log = ::testing::internal::GetCapturedStdout();
  EXPECT_EQ(log.find("replace '" + path + "'"), log.rfind("replace '" + path + "'")) << log;
  EXPECT_THAT(log, HasSubstr("replace '" + path + "': Is a directory"));
  EXPECT_THAT(log, HasSubstr("problems are kept in '" + path + "' again"));
  EXPECT_THAT(open().read(0s), SizeIs(1));
}

TEST_F(ProblemFileTest, WhatIsDamagedIsToldAndLeftBehind) {
  for (const auto& [content, why] : {std::pair(std::string("{"), "parse error"),
                                     {std::string(), "parse error"},
                                     {std::string(17U << 20U, ' '), "it has 17825792 bytes"}}) {
    std::ofstream(path) << content;
    ::testing::internal::CaptureStdout();
    EXPECT_THAT(open().read(0s), IsEmpty());
    EXPECT_THAT(
        ::testing::internal::GetCapturedStdout(),
        AllOf(HasSubstr("what was known of problems before, '" + path + "', cannot be used: "), HasSubstr(why)));
  }
}

TEST_F(ProblemFileTest, ADirectoryThatIsNotThereIsRefusedWithAWord) {
  const auto file = ProblemFile::open(directory + "/none");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message, "write '" + directory +
                                      "/none/problems.json.new': No such file or directory; give --state-directory a "
                                      "directory that exists and can be written, or leave it out");
}

}  // namespace
}  // namespace hairpind
