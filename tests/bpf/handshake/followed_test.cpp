// SPDX-License-Identifier: Apache-2.0
// Beside programs that come after these, and may still change what `to_pod` has seen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

// As where others' programs follow `to_pod` on the client's device.
class FollowedTest : public HandshakeFamilyTest {
 protected:
  void SetUp() override {
    HandshakeFamilyTest::SetUp();
    if (kernel) {
      kernel->variables.set_answers_may_change(true);
    }
  }

  [[nodiscard]] PacketBuilder from_client(const char* to, std::uint16_t port, std::uint8_t flags) const {
    return PacketBuilder().from(a().p1, 40000).to(to, port).tcp(flags, kIsn + 1, 8);
  }
};
INSTANTIATE_TEST_SUITE_P(Families, FollowedTest, ::testing::Values(&kV4, &kV6), family_name);

TEST_P(FollowedTest, AnAnswerThatIsTranslatedBackBehindUsIsLegitimate) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  see(Hook::kFromPod, "pod1", from_client(a().lb, 443, kAck));
  sweep_after(std::chrono::seconds(4));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

TEST_P(FollowedTest, TheSameFromAnotherNode) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  see(Hook::kFromPod, "pod1", from_client(a().lb, 443, kAck));
  EXPECT_EQ(counters(a().lb).answered, 1);
  EXPECT_EQ(total(HP_TOTAL_EVENTS), 0);
}

TEST_P(FollowedTest, TheClientsResetSaysWhoAnsweredIt) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", returned(a().p1, a().node, 30443));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1));
  EXPECT_EQ(counters(a().lb).mismatched, 0) << "it may still be changed";
  see(Hook::kFromPod, "pod1", from_client(a().node, 30443, kRst));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinNodePort);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().node), 30443}));
  EXPECT_EQ(seen[0].attempt.outcome, Outcome::kResetByClient);
}

TEST_P(FollowedTest, AReturnedSynAndAClientThatSaysNothingIsAMismatchAtTheNextSweep) {
  hairpin_ip_target(a());
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  sweep_after(std::chrono::milliseconds(200));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().p2), 8443}));
}

TEST_P(FollowedTest, WithoutOneTimeDecides) {
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  sweep_after(std::chrono::seconds(2));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  sweep_after(std::chrono::seconds(4));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kAsymmetricRemote);
  EXPECT_EQ(seen[0].attempt.responder, (Endpoint{ip(a().elsewhere), 8443}));
}

TEST_P(FollowedTest, OrCiliumsTable) {
  kernel->variables.set_ask_conntrack(true);
  see(Hook::kFromPod, "pod1", syn(a()));
  see(Hook::kFromNet, "eth0", synack(a().elsewhere, 8443, a().p1));
  see(Hook::kToPod, "pod1", synack(a().elsewhere, 8443, a().p1));
  sweep_after(std::chrono::milliseconds(500));
  const auto asked = events();
  ASSERT_EQ(asked.size(), 1);
  ASSERT_EQ(asked[0].kind, EventKind::kConntrack);
  EXPECT_TRUE(kernel->settler.set_conntrack(asked[0].attempt,
                                            {.conntrack = Conntrack::kNoEntry, .source = ConntrackSource::kCilium}));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1) << "what it has not translated by now it never will";
  EXPECT_EQ(seen[0].attempt.cause, Cause::kAsymmetricRemote);
  EXPECT_EQ(seen[0].attempt.conntrack_source, ConntrackSource::kCilium);
}

}  // namespace
}  // namespace hairpind::testing
