// SPDX-License-Identifier: Apache-2.0
// What each program costs the verifier, which gives up at a million instructions: a change that makes an old kernel's
// give up is to be seen on a new one already.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <string>

#include "hairpind/bpf/programs.hpp"

namespace hairpind {
namespace {

using ::testing::Contains;
using ::testing::Key;

struct Bound {
  std::uint32_t verified_instructions;
  std::uint32_t bytes;
};

// About twice what the dearest of 6.1, 6.12 and 6.18 takes.
const std::map<std::string, Bound> kBounds{
    {"from_pod", {.verified_instructions = 200'000, .bytes = 48'000}},
    {"to_pod", {.verified_instructions = 60'000, .bytes = 32'000}},
    {"from_net", {.verified_instructions = 100'000, .bytes = 44'000}},
    {"to_net", {.verified_instructions = 60'000, .bytes = 32'000}},
    {"kfree_skb", {.verified_instructions = 100'000, .bytes = 40'000}},
    {"tcp_send_reset", {.verified_instructions = 60'000, .bytes = 24'000}},
    {"tcp_v4_send_reset", {.verified_instructions = 60'000, .bytes = 24'000}},
    {"tcp_v6_send_reset", {.verified_instructions = 60'000, .bytes = 24'000}},
    {"sweep", {.verified_instructions = 320'000, .bytes = 24'000}},
    {"set_conntrack", {.verified_instructions = 10'000, .bytes = 8'000}},
};

class ProgramCostTest : public ::testing::TestWithParam<ResetSensor> {};

TEST_P(ProgramCostTest, IsWithinBounds) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "not root: loading BPF programs needs it";
  }
  const KernelFeatures features = KernelFeatures::probe();
  if (GetParam() == ResetSensor::kDrop && !features.has(Feature::kDropReasons)) {
    GTEST_SKIP() << "kfree_skb tells no reason here (5.17)";
  }
  if (GetParam() == ResetSensor::kTracepoint && !features.has(Feature::kResetTracepoint)) {
    GTEST_SKIP() << "tcp_send_reset does not tell of segments without a socket here (6.10)";
  }
  // The probes are verified also where they cannot be attached.
  const auto programs = Programs::load({.reset_sensor = GetParam()}, features);
  ASSERT_TRUE(programs) << programs.error().message;
  utsname kernel{};
  uname(&kernel);
  const auto costs = (*programs)->costs();
  ASSERT_GE(costs.size(), 6);
  for (const ProgramCost& cost : costs) {
    std::printf("%s: %-18s %7u instructions verified, %6u bytes\n", static_cast<const char*>(kernel.release),
                cost.name.c_str(), cost.verified_instructions, cost.bytes);
    ASSERT_THAT(kBounds, Contains(Key(cost.name)));
    EXPECT_LE(cost.verified_instructions, kBounds.at(cost.name).verified_instructions) << cost.name;
    EXPECT_LE(cost.bytes, kBounds.at(cost.name).bytes) << cost.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Sensors, ProgramCostTest,
                         ::testing::Values(ResetSensor::kTracepoint, ResetSensor::kDrop, ResetSensor::kKprobe),
                         [](const auto& sensor) { return std::string(to_string(sensor.param)); });

}  // namespace
}  // namespace hairpind
