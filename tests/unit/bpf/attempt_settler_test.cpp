// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/attempt_settler.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace hairpind {
namespace {

using namespace std::chrono_literals;

class AttemptSettlerTest : public ::testing::Test {
 protected:
  // As the kernel's sweep: what is left, and how many of these are undecided.
  std::uint64_t kept = 0;
  std::uint64_t undecided = 0;
  bool fails = false;
  std::uint32_t changes = 0;

  std::vector<std::uint64_t> sweeps;  ///< when
  std::vector<hp_conntrack_answer> answers;

  AttemptSettler settler{{.sweep = [this](hp_sweep& argument) -> Result<void> {
                            sweeps.push_back(argument.now_ns);
                            if (fails) {
                              return fail("refused");
                            }
                            argument.undecided = undecided;
                            argument.kept = kept;
                            return {};
                          },
                          .set_conntrack = [this](hp_conntrack_answer& answer) -> Result<void> {
                            answers.push_back(answer);
                            return {};
                          },
                          .attempts_changed = [this] { return changes; }}};
};

TEST_F(AttemptSettlerTest, AnIdleNodesTableIsNotWalked) {
  EXPECT_EQ(settler.sweep(1s), 0);
  EXPECT_EQ(sweeps.size(), 0);
}

TEST_F(AttemptSettlerTest, WhatIsLeftIsLookedAtAgain) {
  changes = 1;
  undecided = kept = 2;
  EXPECT_EQ(settler.sweep(1s), 2);
  undecided = 0;
  EXPECT_EQ(settler.sweep(2s), 0);
  kept = 0;
  EXPECT_EQ(settler.sweep(3s), 0);
  EXPECT_EQ(sweeps, (std::vector<std::uint64_t>{1'000'000'000, 2'000'000'000, 3'000'000'000}));
  EXPECT_EQ(settler.sweep(4s), 0);
  EXPECT_EQ(sweeps.size(), 3) << "nothing was left, and nothing has come";
}

TEST_F(AttemptSettlerTest, ASweepThatMayHaveMissedOneIsFollowedByAnother) {
  changes = 1;
  EXPECT_EQ(settler.sweep(1s), 0);
  EXPECT_EQ(settler.sweep(2s), 0);
  EXPECT_EQ(sweeps.size(), 2) << "a place is taken a moment before its attempt is found";
  EXPECT_EQ(settler.sweep(3s), 0);
  EXPECT_EQ(sweeps.size(), 2);
  changes = 2;
  EXPECT_EQ(settler.sweep(4s), 0);
  EXPECT_EQ(sweeps.size(), 3);
}

TEST_F(AttemptSettlerTest, ASweepThatFailedIsTriedAgain) {
  changes = 1;
  fails = true;
  EXPECT_FALSE(settler.sweep(1s));
  fails = false;
  EXPECT_EQ(settler.sweep(2s), 0);
  EXPECT_EQ(settler.sweep(3s), 0);
  EXPECT_EQ(sweeps.size(), 3) << "it has settled nothing, so that two more follow";
}

TEST_F(AttemptSettlerTest, AnAnswerNamesTheAttemptAndWhoseSynAckItWas) {
  const Endpoint client{.address = *IpAddress::parse("10.0.1.10"), .port = 40000};
  const Endpoint target{.address = *IpAddress::parse("10.0.1.20"), .port = 8443};
  Attempt asked;
  asked.client = client;
  asked.isn = 7;
  asked.synack_sent = target;
  ASSERT_TRUE(settler.set_conntrack(asked, {.conntrack = Conntrack::kTranslated, .source = ConntrackSource::kNetlink}));
  ASSERT_EQ(answers.size(), 1);
  EXPECT_EQ(Endpoint::from_abi({.address = answers[0].key.client, .port = answers[0].key.port, .pad = 0}), client);
  EXPECT_EQ(answers[0].key.isn, 7);
  EXPECT_EQ(Endpoint::from_abi(answers[0].responder), target);
  EXPECT_EQ(answers[0].conntrack, HP_CONNTRACK_TRANSLATED);
  EXPECT_EQ(answers[0].conntrack_source, HP_CONNTRACK_SOURCE_NETLINK);
}

}  // namespace
}  // namespace hairpind
