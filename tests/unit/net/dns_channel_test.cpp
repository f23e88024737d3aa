// SPDX-License-Identifier: Apache-2.0
#include "dns_channel.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "dns_server.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using testing::DnsServer;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

class DnsChannelTest : public ::testing::Test {
 protected:
  DnsChannelTest() : channel(*DnsChannel::open(server.servers())) {}

  /// Lets the channel work until then, a minute at most.
  template <typename Condition>
  bool work_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 1min;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      std::vector<pollfd> fds;
      channel->add_to(fds);
      // What is not told of a socket is told of by the time.
      const auto wait = std::min<std::chrono::milliseconds>(channel->timeout().value_or(100ms), 100ms);
      poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
      channel->handle(fds);
    }
    return condition();
  }
  DnsAnswer answer(const std::string& name = "lb.test") {
    std::optional<DnsAnswer> got;
    channel->ask(name, [&](const DnsAnswer& each) { got = each; });
    EXPECT_TRUE(work_until([&] { return got.has_value(); })) << name;
    return got.value_or(DnsAnswer());
  }

  DnsServer server;
  std::unique_ptr<DnsChannel> channel;
};

TEST_F(DnsChannelTest, TheTtlIsTheShortestOfBothFamilies) {
  server.set({.addresses = {ip("10.0.5.5"), ip("fd00:5::5")}, .ttl = 100, .ttl_of_v6 = 7});
  EXPECT_EQ(answer().ttl, 7s);
  server.set({.addresses = {ip("10.0.5.5"), ip("fd00:5::5")}, .ttl = 7, .ttl_of_v6 = 100});
  EXPECT_EQ(answer().ttl, 7s);
  EXPECT_THAT(answer().addresses, UnorderedElementsAre(ip("10.0.5.5"), ip("fd00:5::5")));
}

TEST_F(DnsChannelTest, EachNameThatANameStandsForIsTold) {
  server.set({.addresses = {ip("10.0.5.5")}, .aliases = {"second.test", "third.test"}});
  const DnsAnswer told = answer();
  EXPECT_THAT(told.addresses, UnorderedElementsAre(ip("10.0.5.5")));
  EXPECT_THAT(std::set(told.aliases.begin(), told.aliases.end()), UnorderedElementsAre("second.test", "third.test"));
}

TEST_F(DnsChannelTest, HasSomethingToDoInTimeAsLongAsAQuestionIsOpen) {
  EXPECT_EQ(channel->timeout(), std::nullopt);
  server.set({.addresses = {}, .silent = true});
  std::optional<DnsAnswer> got;
  channel->ask("lb.test", [&](const DnsAnswer& each) { got = each; });
  EXPECT_LE(channel->timeout().value_or(1h), 5s);
  server.set({.addresses = {ip("10.0.5.5")}});
  ASSERT_TRUE(work_until([&] { return got.has_value(); }));
  EXPECT_EQ(channel->timeout(), std::nullopt);
}

TEST_F(DnsChannelTest, ANameIsAbsentOnlyWhereAServerHasSaidSo) {
  server.set({.addresses = {}});
  EXPECT_TRUE(answer().absent) << "it is there, and has no address";
  EXPECT_THAT(answer().why, ::testing::Not(IsEmpty()));
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */});
  EXPECT_TRUE(answer().absent);
  server.set({.addresses = {}, .response_code = 2 /* SERVFAIL */});
  EXPECT_FALSE(answer().absent);
  server.set({.addresses = {}, .response_code = 5 /* REFUSED */});
  EXPECT_FALSE(answer().absent);
}

TEST_F(DnsChannelTest, AQuestionThatGetsLostIsAskedOnceMore) {
  server.set({.addresses = {}, .silent = true});
  channel->ask("lb.test", [](const DnsAnswer&) {});
  // One for each family, twice.
  EXPECT_TRUE(work_until([&] { return server.questions() >= 4; }));
}

TEST_F(DnsChannelTest, WhatDoesNotFitIntoADatagramIsAskedForByTcp) {
  server.set({.addresses = {ip("10.0.5.5"), ip("fd00:5::5")}, .truncated = true});
  EXPECT_THAT(answer().addresses, UnorderedElementsAre(ip("10.0.5.5"), ip("fd00:5::5")));
}

/// The search list stands for resolv.conf, which is not a test's to write: both are read at the same time.
class RereadTest : public DnsChannelTest {
 protected:
  ~RereadTest() override { unsetenv("LOCALDOMAIN"); }
  /// Is a name without dots asked for in this domain now?
  bool searches(const std::string& domain) {
    const int before = server.questions("lb." + domain);
    answer("lb");
    return server.questions("lb." + domain) > before;
  }
};

TEST_F(RereadTest, ResolvConfIsReadAgainAfterAFailureAndOnlyThen) {
  server.set({.addresses = {ip("10.0.5.5")}});
  setenv("LOCALDOMAIN", "first.test", 1);
  EXPECT_FALSE(searches("first.test")) << "nothing has failed";
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */}, "absent.test");
  answer("absent.test");
  EXPECT_TRUE(searches("first.test"));
  setenv("LOCALDOMAIN", "second.test", 1);
  EXPECT_FALSE(searches("second.test")) << "nothing has failed since";
}

TEST_F(RereadTest, ResolvConfIsNotReadAgainUnderAnOpenQuestion) {
  server.set({.addresses = {}, .silent = true}, "slow.test");
  server.set({.addresses = {ip("10.0.5.6")}});
  std::optional<DnsAnswer> slow;
  channel->ask("slow.test", [&](const DnsAnswer& each) { slow = each; });
  ASSERT_TRUE(work_until([&] { return server.questions("slow.test") >= 2; }));
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */}, "absent.test");
  answer("absent.test");
  EXPECT_FALSE(answer("other.test").addresses.empty());
  server.set({.addresses = {ip("10.0.5.5")}}, "slow.test");
  ASSERT_TRUE(work_until([&] { return slow.has_value(); })) << "its question was lost";
}

}  // namespace
}  // namespace hairpind
