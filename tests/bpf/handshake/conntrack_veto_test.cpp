// SPDX-License-Identifier: Apache-2.0
// The veto (S5) as far as the kernel side asks for it (bpf/conntrack.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "handshake_test.hpp"

namespace hairpind::testing {
namespace {

TEST_P(HandshakeFamilyTest, TranslationByThisNodeIsLegitimate) {
  add_conntrack_entry({ip(a().p1), 41000}, {ip(a().lb), 443}, {ip(a().p2), 8443});
  see(Hook::kFromPod, "pod1", syn(a(), 41000));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 41000));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 41000));
  EXPECT_EQ(counters(a().lb).translations, 1) << "attempts, not packets";
  // Not even if the answer never gets to the client.
  sweep_after(std::chrono::seconds(10));
  see(Hook::kFromPod, "pod1", syn(a(), 41000));
  EXPECT_EQ(counters(a().lb).mismatched, 0);
  EXPECT_EQ(counters(a().lb).unanswered, 1);
  EXPECT_EQ(counters(a().lb).syns, 1) << "what was settled is still known";
  EXPECT_THAT(events(), ::testing::IsEmpty());
}

// The node translated, and yet the client got the answer as the target sent it: two pods of a bridge.
TEST_P(HandshakeFamilyTest, ATranslationThatIsNotUndoneIsAMismatchOnThisNode) {
  add_conntrack_entry({ip(a().p1), 41003}, {ip(a().lb), 443}, {ip(a().p2), 8443});
  see(Hook::kFromPod, "pod1", syn(a(), 41003));
  see(Hook::kFromPod, "pod2", synack(a().p2, 8443, a().p1, 41003));
  see(Hook::kToPod, "pod1", synack(a().p2, 8443, a().p1, 41003));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(seen[0].attempt.responder_kind, ResponderKind::kLocalPod);
  EXPECT_EQ(seen[0].attempt.synack_sent, (Endpoint{ip(a().p2), 8443}));
  EXPECT_EQ(seen[0].attempt.conntrack, Conntrack::kTranslated);
}

TEST_P(HandshakeFamilyTest, EntryWithoutTranslationDoesNotVeto) {
  // The client's own entry, and the one the hairpinned SYN makes, which matches the bad SYN-ACK.
  add_conntrack_entry({ip(a().p1), 41001}, {ip(a().lb), 443}, {ip(a().lb), 443});
  add_conntrack_entry({ip(a().p1), 41001}, {ip(a().p2), 8443}, {ip(a().p2), 8443});
  hairpin_ip_target(a(), 41001);
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].attempt.conntrack, Conntrack::kNotTranslated);
  EXPECT_EQ(seen[0].attempt.conntrack_source, ConntrackSource::kKernel);
}

TEST_P(HandshakeFamilyTest, TranslationToAnotherBackendDoesNotVeto) {
  add_conntrack_entry({ip(a().p1), 41002}, {ip(a().lb), 443}, {ip(a().elsewhere), 8443});
  hairpin_ip_target(a(), 41002);
  EXPECT_EQ(counters(a().lb).translations, 0);
  EXPECT_EQ(counters(a().lb).mismatched, 1);
}

}  // namespace
}  // namespace hairpind::testing
