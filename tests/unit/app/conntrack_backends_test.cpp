// SPDX-License-Identifier: Apache-2.0
#include "conntrack_backends.hpp"

#include <gtest/gtest.h>

namespace hairpind {
namespace {

struct Table {
  Result<Conntrack> answer = Conntrack::kUnchecked;
  int asked = 0;

  ConntrackLookup lookup() {
    return [this](const ConntrackQuery&) {
      asked++;
      return answer;
    };
  }
};

Attempt attempt(Conntrack known = Conntrack::kUnchecked) {
  Attempt result;
  result.client = {.address = *IpAddress::parse("10.0.1.10"), .port = 40000};
  result.load_balancer = {.address = *IpAddress::parse("10.0.5.5"), .port = 443};
  result.synack_sent = {.address = *IpAddress::parse("10.0.1.20"), .port = 8443};
  result.conntrack = known;
  result.conntrack_source = known == Conntrack::kUnchecked ? ConntrackSource::kNone : ConntrackSource::kKernel;
  return result;
}

struct Case {
  const char* description;
  Conntrack known;
  Result<Conntrack> netlink;
  Result<Conntrack> cilium;
  ConntrackAnswer expected;
  int netlink_asked;
  int cilium_asked;
};

TEST(ConntrackInquiry, WhoIsAskedAndWhoseAnswerCounts) {
  using enum Conntrack;
  using Source = ConntrackSource;
  const Result<Conntrack> broken = fail("no such table");
  for (const Case& each : {
           Case{"the kernel has said so", kTranslated, kNoEntry, kNoEntry, {kTranslated, Source::kKernel}, 0, 0},
           Case{"the kernel knows nothing, Cilium may",
                kNoEntry,
                kNoEntry,
                kTranslated,
                {kTranslated, Source::kCilium},
                0,
                1},
           Case{"netfilter knows", kUnchecked, kNotTranslated, kNoEntry, {kNotTranslated, Source::kNetlink}, 1, 0},
           Case{"netfilter knows nothing, Cilium does",
                kUnchecked,
                kNoEntry,
                kNotTranslated,
                {kNotTranslated, Source::kCilium},
                1,
                1},
           Case{"nobody knows", kUnchecked, kNoEntry, kNoEntry, {kNoEntry, Source::kCilium}, 1, 1},
           Case{"netfilter is not there", kUnchecked, kUnchecked, kNoEntry, {kNoEntry, Source::kCilium}, 1, 1},
           Case{"netfilter cannot be asked", kUnchecked, broken, kTranslated, {kTranslated, Source::kCilium}, 1, 1},
           Case{"Cilium cannot be asked: no entry of netfilter's is not the last word",
                kUnchecked,
                kNoEntry,
                broken,
                {},
                1,
                1},
           Case{"nobody can be asked", kUnchecked, broken, broken, {}, 1, 1},
       }) {
    Table netlink{.answer = each.netlink};
    Table cilium{.answer = each.cilium};
    ConntrackInquiry inquiry;
    EXPECT_EQ(inquiry.ask(attempt(each.known), netlink.lookup(), cilium.lookup()), each.expected) << each.description;
    EXPECT_EQ(netlink.asked, each.netlink_asked) << each.description;
    EXPECT_EQ(cilium.asked, each.cilium_asked) << each.description;
  }
}

TEST(ConntrackInquiry, ATableThatIsNotThereIsNotAsked) {
  ConntrackInquiry inquiry;
  EXPECT_EQ(inquiry.ask(attempt(), {}, {}), ConntrackAnswer());
  EXPECT_EQ(inquiry.ask(attempt(Conntrack::kNoEntry), {}, {}),
            (ConntrackAnswer{.conntrack = Conntrack::kNoEntry, .source = ConntrackSource::kKernel}));
}

TEST(ConntrackInquiry, WhatNoTableCanTellIsNotAsked) {
  Table table{.answer = Conntrack::kTranslated};
  ConntrackInquiry inquiry;
  Attempt unanswered = attempt();
  unanswered.synack_sent = {};
  EXPECT_EQ(inquiry.ask(unanswered, table.lookup(), table.lookup()), ConntrackAnswer());
  Attempt unsolicited = attempt();
  unsolicited.cause = Cause::kUnsolicitedSynAck;
  EXPECT_EQ(inquiry.ask(unsolicited, table.lookup(), table.lookup()), ConntrackAnswer());
  EXPECT_EQ(table.asked, 0);
}

}  // namespace
}  // namespace hairpind
