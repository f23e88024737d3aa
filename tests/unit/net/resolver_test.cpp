// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/resolver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "dns_server.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using testing::DnsServer;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

class ResolverTest : public ::testing::Test {
 protected:
  void start(Resolver::Options options) {
    options.servers = server.servers();
    auto started = Resolver::start(
        options,
        [this](Resolution resolution) {
          const std::scoped_lock lock(mutex);
          resolutions.push_back(std::move(resolution));
          changed.notify_all();
        },
        [this](const std::string& name, const std::string& why) {
          const std::scoped_lock lock(mutex);
          errors.push_back(name + ": " + why);
          changed.notify_all();
        });
    ASSERT_TRUE(started) << started.error().message;
    resolver = *std::move(started);
    resolver->change_names({"lb.test"});
  }

  template <typename Condition>
  bool wait_until(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 30s, condition);
  }
  bool wait_for_addresses(const std::set<IpAddress>& addresses) {
    return wait_until([&] { return !resolutions.empty() && resolutions.back().addresses == addresses; });
  }
  static void wait_for_questions(DnsServer& asked, const std::string& name, int more) {
    const int before = asked.questions(name);
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (asked.questions(name) < before + more && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(1ms);
    }
    EXPECT_GE(asked.questions(name), before + more) << name;
  }

  DnsServer server;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Resolution> resolutions;
  std::vector<std::string> errors;
  std::unique_ptr<Resolver> resolver;
};

const Resolver::Options kFast{.shortest_ttl = 20ms,
                              .longest_ttl = 50ms,
                              .retry = 20ms,
                              .grace = 10min,
                              .spacing = 0ms,
                              .most_addresses = 64,
                              .servers = {},
                              .cluster_servers = {}};

TEST_F(ResolverTest, FindsBothFamilies) {
  server.set({.addresses = {ip("10.0.5.5"), ip("10.0.5.6"), ip("fd00:5::5")}});
  start({});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6"), ip("fd00:5::5")}));
  EXPECT_EQ(resolutions.back().name, "lb.test");
}

TEST_F(ResolverTest, AsksAgainAndKeepsWhatLeftTheAnswerForAWhile) {
  server.set({.addresses = {ip("10.0.5.5")}});
  start(kFast);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  server.set({.addresses = {ip("10.0.5.6")}});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
}

TEST_F(ResolverTest, DropsWhatLeftTheAnswerAfterTheGrace) {
  server.set({.addresses = {ip("10.0.5.5")}});
  Resolver::Options options = kFast;
  options.grace = 1ms;
  start(options);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  server.set({.addresses = {ip("10.0.5.6")}});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.6")}));
}

TEST_F(ResolverTest, FailureIsToldOnceAndKeepsTheAddresses) {
  server.set({.addresses = {ip("10.0.5.5")}});
  start(kFast);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */});
  ASSERT_TRUE(wait_until([&] { return !errors.empty(); }));
  const int before = server.questions();
  while (server.questions() < before + 20) {
    std::this_thread::sleep_for(1ms);
  }
  server.set({.addresses = {ip("10.0.5.7")}});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.7")}));
  EXPECT_EQ(errors.size(), 1) << ::testing::PrintToString(errors);
  EXPECT_THAT(errors[0], ::testing::StartsWith("lb.test: DNS: "));
}

TEST_F(ResolverTest, LongTtlIsNotWaitedForLongerThanTheLimit) {
  server.set({.addresses = {ip("10.0.5.5")}, .response_code = 0, .silent = false, .ttl = 255});
  start(kFast);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  server.set({.addresses = {ip("10.0.5.8")}});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.8")}));
}

TEST_F(ResolverTest, EachNameIsAskedForAgainWhenItsOwnTtlEnds) {
  server.set({.addresses = {ip("10.0.5.5")}, .response_code = 0, .silent = false, .ttl = 0});
  server.set({.addresses = {ip("10.0.5.6")}, .response_code = 0, .silent = false, .ttl = 200}, "slow.test");
  Resolver::Options options = kFast;
  options.longest_ttl = 10min;
  start(options);
  resolver->change_names({"slow.test"});
  // An address and none of the other family: two questions a round.
  while (server.questions("lb.test") < 40) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_LE(server.questions("slow.test"), 2);
}

TEST_F(ResolverTest, ATtlOfNothingIsNoReasonToAskWithoutEnd) {
  server.set({.addresses = {ip("10.0.5.5")}, .response_code = 0, .silent = false, .ttl = 0});
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */}, "absent.test");
  Resolver::Options options = kFast;
  options.shortest_ttl = 10min;
  options.longest_ttl = 20min;
  start(options);
  resolver->change_names({"absent.test"});
  // What fails is asked for again and again meanwhile.
  while (server.questions("absent.test") < 40) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_LE(server.questions("lb.test"), 2);
}

TEST_F(ResolverTest, OneNamesExcessOfAddressesTouchesNoOther) {
  const auto answer = [](int from, int count) {
    DnsServer::Answer result;
    for (int i = from; i < from + count; i++) {
      result.addresses.push_back(ip(("10.1." + std::to_string(i / 200) + "." + std::to_string(i % 200)).c_str()));
    }
    return result;
  };
  Resolver::Options options = kFast;
  options.most_addresses = 10;
  server.set(answer(20, 8));
  server.set(answer(5000, 3), "other.test");
  start(options);
  const auto addresses_of = [&](const std::string& name) {
    std::set<IpAddress> newest;
    for (const Resolution& resolution : resolutions) {
      if (resolution.name == name) {
        newest = resolution.addresses;
      }
    }
    return newest;
  };
  resolver->change_names({"other.test"});
  ASSERT_TRUE(
      wait_until([&] { return addresses_of("lb.test").size() == 8 && addresses_of("other.test").size() == 3; }));
  // Others each time: the newest stay, and of those that are as new the ones that are known.
  server.set(answer(4, 25));  // more would not fit into a datagram
  ASSERT_TRUE(wait_until([&] { return addresses_of("lb.test").size() == 10; }));
  for (const IpAddress& address : answer(20, 8).addresses) {
    EXPECT_TRUE(addresses_of("lb.test").contains(address)) << address.to_string();
  }
  for (int round = 1; round < 20; round++) {
    server.set(answer(round * 100, 25));
    ASSERT_TRUE(wait_until([&] {
      const auto now = addresses_of("lb.test");
      return std::ranges::any_of(answer(round * 100, 25).addresses,
                                 [&](const auto& each) { return now.contains(each); });
    }));
  }
  const std::scoped_lock lock(mutex);
  for (const Resolution& resolution : resolutions) {
    EXPECT_LE(resolution.addresses.size(), 10);
  }
  EXPECT_EQ(addresses_of("other.test").size(), 3);
  ASSERT_EQ(errors.size(), 1) << ::testing::PrintToString(errors);
  EXPECT_THAT(errors[0], ::testing::HasSubstr("more than 10 addresses"));
}

TEST_F(ResolverTest, WhatIsAsItWasIsNotToldOfAgain) {
  server.set({.addresses = {ip("10.0.5.5")}});
  start(kFast);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  wait_for_questions(server, "lb.test", 20);
  const std::scoped_lock lock(mutex);
  EXPECT_EQ(resolutions.size(), 1);
}

TEST_F(ResolverTest, ANameThatWasDroppedIsToldOfAgain) {
  server.set({.addresses = {ip("10.0.5.5")}});
  start({});
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  for (std::size_t told = 2; told < 10; told++) {
    // At once, so that the resolver's thread may see but the last.
    resolver->change_names({}, {"lb.test"});
    resolver->change_names({"lb.test"});
    ASSERT_TRUE(wait_until([&] { return resolutions.size() >= told; }));
  }
}

TEST_F(ResolverTest, ANameThatIsAddedTwiceIsToldOfTwiceAndKeepsItsOldAddresses) {
  server.set({.addresses = {ip("10.0.5.5")}});
  start(kFast);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  server.set({.addresses = {ip("10.0.5.6")}});
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  std::size_t told = 0;
  ASSERT_TRUE(wait_until([&] {
    told = resolutions.size();
    return true;
  }));
  resolver->change_names({"lb.test"});
  EXPECT_TRUE(wait_until([&] { return resolutions.size() > told; }));
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
}

TEST_F(ResolverTest, NeitherANameThatIsAddedTwiceNorTheEndWaitsForATtl) {
  server.set({.addresses = {ip("10.0.5.5")}});
  Resolver::Options options = kFast;
  options.shortest_ttl = 10min;
  options.longest_ttl = 20min;
  start(options);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  server.set({.addresses = {ip("10.0.5.6")}});
  resolver->change_names({"lb.test"});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  const auto begin = std::chrono::steady_clock::now();
  resolver.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5min);
}

TEST_F(ResolverTest, ANameThatWasDroppedIsForgottenEvenWhileItIsAskedFor) {
  server.set({.addresses = {}, .silent = true});
  start(kFast);
  while (server.questions() < 2) {
    std::this_thread::sleep_for(1ms);
  }
  resolver->change_names({}, {"lb.test"});
  server.set({.addresses = {ip("10.0.5.5")}});
  resolver->change_names({"other.test"});
  EXPECT_TRUE(wait_until([&] { return !resolutions.empty(); }));
  EXPECT_EQ(resolutions.front().name, "other.test");
}

TEST_F(ResolverTest, ThousandsOfNamesAreAllResolved) {
  constexpr std::size_t kNames = 3000;
  server.set({.addresses = {ip("10.0.5.5")}});
  start({});
  std::set<std::string> names;
  for (std::size_t i = 0; i < kNames; i++) {
    names.insert("lb" + std::to_string(i) + ".test");
  }
  resolver->change_names(names);
  std::size_t read = 0;
  EXPECT_TRUE(wait_until([&] {
    for (; read < resolutions.size(); read++) {
      names.erase(resolutions[read].name);
    }
    return names.empty();
  })) << names.size();
  EXPECT_THAT(errors, ::testing::IsEmpty());
}

TEST_F(ResolverTest, NamesThatNobodyAnswersForDelayNoOther) {
  server.set({.addresses = {}, .silent = true});
  server.set({.addresses = {ip("10.0.5.5")}}, "other.test");
  start(kFast);
  std::set<std::string> names;
  for (int i = 0; i < 60; i++) {
    names.insert("lb" + std::to_string(i) + ".test");
  }
  resolver->change_names(names);
  resolver->change_names({"other.test"});
  // One after the other, six seconds each, they would take minutes.
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
}

TEST_F(ResolverTest, NamesThatAreDroppedWhileTheyAreAskedForTakeNobodysPlace) {
  server.set({.addresses = {}, .silent = true});
  start(kFast);
  std::set<std::string> names{"lb.test"};
  for (int i = 0; i < 100; i++) {
    names.insert("lb" + std::to_string(i) + ".test");
  }
  resolver->change_names(names);
  // As many as there may be at once.
  while (server.questions() < 2 * 64) {
    std::this_thread::sleep_for(1ms);
  }
  resolver->change_names({}, names);
  server.set({.addresses = {ip("10.0.5.5")}});
  resolver->change_names({"other.test"});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
}

TEST_F(ResolverTest, SilentServerDelaysNeitherNamesNorTheEnd) {
  server.set({.addresses = {}, .response_code = 0, .silent = true});
  start(kFast);
  resolver->change_names({"other.test"});
  while (server.questions() < 2) {
    std::this_thread::sleep_for(1ms);
  }
  resolver.reset();
  EXPECT_TRUE(resolutions.empty());
}

// One question for each family.
constexpr int kOneRound = 2;

const std::string kNlb = "web-0123456789abcdef.elb.eu-west-1.amazonaws.com";

/// The load balancer is known by the name that AWS has made for it.
class ZonalNamesTest : public ResolverTest {
 protected:
  void SetUp() override {
    server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */});
    server.set({.addresses = {ip("10.0.5.5")}}, kNlb);
    server.set({.addresses = {ip("10.0.5.5")}}, "eu-west-1a." + kNlb);
    server.set({.addresses = {ip("10.0.5.6")}}, "eu-west-1b." + kNlb);
  }
  void start(const Resolver::Options& options) {
    ResolverTest::start(options);
    resolver->change_names({kNlb}, {"lb.test"});
  }
};

TEST_F(ZonalNamesTest, AddressesOfOtherZonesAreTheNamesToo) {
  start(kFast);
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  const std::scoped_lock lock(mutex);
  for (const Resolution& resolution : resolutions) {
    EXPECT_EQ(resolution.name, kNlb);
  }
}

TEST_F(ZonalNamesTest, AreAskedForOneAfterTheOther) {
  const auto begin = std::chrono::steady_clock::now();
  Resolver::Options options;
  options.shortest_ttl = 10min;  // nothing else wakes the resolver
  options.longest_ttl = 20min;
  start(options);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  while (server.questions("eu-west-1f." + kNlb) < kOneRound) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 5 * Resolver::Options{}.spacing);
}

TEST_F(ZonalNamesTest, AreThoseOfTheNameThatANameStandsFor) {
  server.set({.addresses = {ip("10.0.5.5")}, .aliases = {"lb.example.net", kNlb}}, "web.example.com");
  ResolverTest::start(kFast);
  resolver->change_names({"web.example.com"}, {"lb.test"});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  // Of another one now: what the old one's zones had is not its.
  const std::string other = "web-fedcba9876543210.elb.eu-west-1.amazonaws.com";
  server.set({.addresses = {ip("10.0.5.7")}, .aliases = {other}}, "web.example.com");
  server.set({.addresses = {ip("10.0.5.8")}}, "eu-west-1c." + other);
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.7"), ip("10.0.5.8")}));
  EXPECT_EQ(resolutions.back().name, "web.example.com");
}

TEST_F(ZonalNamesTest, AreRarelyAskedFor) {
  start(kFast);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  wait_for_questions(server, kNlb, 40);
  for (const char letter : std::string("abcdef")) {
    EXPECT_EQ(server.questions(std::string("eu-west-1") + letter + "." + kNlb), kOneRound) << letter;
  }
  EXPECT_EQ(server.questions("eu-west-1g." + kNlb), 0);
  EXPECT_THAT(errors, ::testing::Not(::testing::Contains(::testing::HasSubstr(kNlb))))
      << "that there is no such zone is as it should be";
}

TEST_F(ZonalNamesTest, ThoseThatAreNotThereAreAskedForMoreRarely) {
  Resolver::Options options = kFast;
  options.rare = 20ms;
  start(options);
  wait_for_questions(server, "eu-west-1b." + kNlb, 40);
  EXPECT_EQ(server.questions("eu-west-1c." + kNlb), kOneRound);
}

TEST_F(ZonalNamesTest, AZoneThatIsAddedIsFound) {
  Resolver::Options options = kFast;
  options.absent = 20ms;
  start(options);
  wait_for_questions(server, "eu-west-1c." + kNlb, 40);
  server.set({.addresses = {ip("10.0.5.7")}}, "eu-west-1c." + kNlb);
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6"), ip("10.0.5.7")}));
  // One round, and c-ares' own second try where this machine is slow.
  EXPECT_LE(server.questions("eu-west-1b." + kNlb), 2 * kOneRound);
}

TEST_F(ZonalNamesTest, AZoneThatIsTakenOutIsForgottenAfterTheGrace) {
  Resolver::Options options = kFast;
  options.rare = 20ms;
  options.grace = 1ms;
  start(options);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  server.set({.addresses = {}, .response_code = 2 /* SERVFAIL */}, "eu-west-1b." + kNlb);
  wait_for_questions(server, "eu-west-1b." + kNlb, 20);
  EXPECT_EQ(resolutions.back().addresses.size(), 2) << "who could not be asked has said nothing";
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */}, "eu-west-1b." + kNlb);
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
}

TEST_F(ZonalNamesTest, AZoneThatIsTakenOutIsAskedForUntilItIsForgotten) {
  Resolver::Options options = kFast;
  options.rare = 20ms;
  options.grace = 500ms;
  start(options);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  // The first of these answers comes before the grace is over; what is not there is asked for in an hour.
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */}, "eu-west-1b." + kNlb);
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
}

TEST_F(ZonalNamesTest, AZoneThatCouldNotBeAskedForIsNotTakenForAbsent) {
  server.set({.addresses = {}, .response_code = 2 /* SERVFAIL */}, "eu-west-1c." + kNlb);
  Resolver::Options options = kFast;
  options.rare = 20ms;
  start(options);
  wait_for_questions(server, "eu-west-1c." + kNlb, 5 * kOneRound);
}

TEST_F(ZonalNamesTest, AnAddressStaysUntilItsZoneIsAskedAgain) {
  Resolver::Options options = kFast;
  options.grace = 1ms;
  start(options);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  wait_for_questions(server, kNlb, 40);
  EXPECT_EQ(resolutions.back().addresses.size(), 2);
}

TEST_F(ZonalNamesTest, AllTogetherHaveNoMoreAddressesThanANameMayHave) {
  server.set({.addresses = {ip("10.0.5.1"), ip("10.0.5.2")}}, kNlb);
  Resolver::Options options = kFast;
  options.most_addresses = 3;
  options.rare = 20ms;
  start(options);
  ASSERT_TRUE(wait_until([&] { return !resolutions.empty() && resolutions.back().addresses.size() >= 3; }));
  wait_for_questions(server, "eu-west-1a." + kNlb, 20);
  wait_for_questions(server, "eu-west-1b." + kNlb, 20);
  const std::scoped_lock lock(mutex);
  for (const Resolution& resolution : resolutions) {
    EXPECT_LE(resolution.addresses.size(), 3);
  }
}

TEST_F(ZonalNamesTest, OfANameThatIsNotThereAreNotAskedFor) {
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */}, kNlb);
  start(kFast);
  wait_for_questions(server, kNlb, 40);
  EXPECT_EQ(server.questions("eu-west-1a." + kNlb), 0);
}

TEST_F(ZonalNamesTest, AreLookedForInNoDomainOfTheSearchList) {
  setenv("LOCALDOMAIN", "search.test", 1);
  start(kFast);
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  wait_for_questions(server, kNlb, 40);
  unsetenv("LOCALDOMAIN");
  EXPECT_EQ(server.questions("eu-west-1c." + kNlb), kOneRound);
  EXPECT_EQ(server.questions("eu-west-1c." + kNlb + ".search.test"), 0);
}

TEST_F(ZonalNamesTest, ManyOfThemAreAskedForOneByOne) {
  Resolver::Options options = kFast;
  options.spacing = 10min;
  start(options);
  std::set<std::string> names;
  for (int i = 0; i < 100; i++) {
    names.insert("web-" + std::to_string(i) + ".elb.eu-west-1.amazonaws.com");
    server.set({.addresses = {ip("10.0.5.9")}}, *names.rbegin());
  }
  wait_for_questions(server, kNlb, 40);
  for (const std::string& name : names) {
    server.set({.addresses = {ip("10.0.5.9")}}, name);
  }
  resolver->change_names(names);
  wait_for_questions(server, "web-99.elb.eu-west-1.amazonaws.com", 40);
  int zonal = 0;
  names.insert(kNlb);
  for (const std::string& name : names) {
    for (const char letter : std::string("abcdef")) {
      zonal += server.questions(std::string("eu-west-1") + letter + "." + name);
    }
  }
  EXPECT_EQ(zonal, kOneRound);
}

TEST_F(ZonalNamesTest, ServersThatKeepSilentAboutThemDelayNoName) {
  std::set<std::string> names;
  for (int i = 0; i < 100; i++) {
    names.insert("web-" + std::to_string(i) + ".elb.eu-west-1.amazonaws.com");
    server.set({.addresses = {ip("10.0.5.9")}}, "web-" + std::to_string(i) + ".elb.eu-west-1.amazonaws.com");
  }
  server.set({.addresses = {}, .silent = true});
  start(kFast);
  resolver->change_names(names);
  while (server.questions("eu-west-1a.web-0.elb.eu-west-1.amazonaws.com") < 1) {
    std::this_thread::sleep_for(1ms);
  }
  server.set({.addresses = {ip("10.0.5.7")}}, "other.test");
  resolver->change_names({"other.test"});
  // Behind six hundred of them, six seconds each, it would wait for a minute.
  EXPECT_TRUE(wait_until([&] {
    return std::ranges::any_of(resolutions, [](const Resolution& each) { return each.name == "other.test"; });
  }));
  wait_for_questions(server, "other.test", 40);
  int asked = 0;
  for (const std::string& name : names) {
    for (const char letter : std::string("abcdef")) {
      asked += server.questions(std::string("eu-west-1") + letter + "." + name) > 0 ? 1 : 0;
    }
  }
  EXPECT_LE(asked, 4 * 16) << "sixteen at once; some may have been given up meanwhile";
}

/// What pods ask is another server than the node's.
class ClusterServersTest : public ResolverTest {
 protected:
  void start(Resolver::Options options) {
    options.cluster_servers = cluster.servers();
    ResolverTest::start(std::move(options));
  }

  DnsServer cluster;
};

TEST_F(ClusterServersTest, TheAnswersOfBothAreTheNames) {
  server.set({.addresses = {ip("10.0.5.5")}});
  cluster.set({.addresses = {ip("10.0.5.6"), ip("fd00:5::6")}});
  start({});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6"), ip("fd00:5::6")}));
  EXPECT_EQ(cluster.questions("lb.test"), kOneRound);
}

TEST_F(ClusterServersTest, AreRarelyAskedWhatTheNodesHaveAnswered) {
  server.set({.addresses = {ip("10.0.5.5")}});
  cluster.set({.addresses = {ip("10.0.5.6")}, .ttl = 0});
  start(kFast);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  wait_for_questions(server, "lb.test", 40);
  EXPECT_EQ(cluster.questions("lb.test"), kOneRound);
}

TEST_F(ClusterServersTest, AreAskedAtOnceAndOftenWhatTheNodesDoNotKnowAnyMore) {
  server.set({.addresses = {ip("10.0.5.5")}});
  cluster.set({.addresses = {ip("10.0.5.6")}});
  Resolver::Options options = kFast;
  options.grace = 1ms;
  start(options);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */});
  cluster.set({.addresses = {ip("10.0.5.7")}});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6"), ip("10.0.5.7")}));
  wait_for_questions(cluster, "lb.test", 40);
  EXPECT_THAT(errors, ::testing::ElementsAre(::testing::StartsWith("lb.test: DNS: ")));
}

TEST_F(ClusterServersTest, AreNotAskedTwiceAtATime) {
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */});
  cluster.set({.addresses = {}, .silent = true});
  const auto begin = std::chrono::steady_clock::now();
  start(kFast);
  ASSERT_TRUE(wait_until([&] { return !errors.empty(); }));
  wait_for_questions(server, "lb.test", 4);
  const int asked = cluster.questions("lb.test");
  // Later c-ares asks once more by itself.
  if (std::chrono::steady_clock::now() - begin < 1900ms) {
    EXPECT_EQ(asked, kOneRound);
  }
  // However slow the machine: not with each of the node's rounds.
  wait_for_questions(server, "lb.test", 40);
  EXPECT_LT(cluster.questions("lb.test"), 20);
}

TEST_F(ClusterServersTest, WhatTheyFailToTellTakesNothingAway) {
  server.set({.addresses = {ip("10.0.5.5")}});
  cluster.set({.addresses = {ip("10.0.5.6")}});
  Resolver::Options options = kFast;
  options.rare = 20ms;
  options.grace = 1ms;
  start(options);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  cluster.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */});
  wait_for_questions(cluster, "lb.test", 20);
  wait_for_questions(server, "lb.test", 40);
  EXPECT_EQ(resolutions.back().addresses.size(), 2);
  EXPECT_THAT(errors, ::testing::ElementsAre(::testing::StartsWith("lb.test: the cluster's DNS: ")));
}

TEST_F(ClusterServersTest, TheirSilenceDelaysNoName) {
  server.set({.addresses = {ip("10.0.5.5")}});
  cluster.set({.addresses = {}, .silent = true});
  start(kFast);
  std::set<std::string> names;
  for (int i = 0; i < 300; i++) {
    names.insert("lb" + std::to_string(i) + ".test");
  }
  resolver->change_names(names);
  EXPECT_TRUE(wait_until([&] { return resolutions.size() == names.size() + 1; }));
  EXPECT_THAT(errors, ::testing::IsEmpty());
}

TEST_F(ClusterServersTest, AreNotAskedForZonesWhichAreTheSameEverywhere) {
  server.set({.addresses = {ip("10.0.5.5")}}, kNlb);
  cluster.set({.addresses = {ip("10.0.5.6")}}, kNlb);
  start(kFast);
  resolver->change_names({kNlb});
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
  while (server.questions("eu-west-1f." + kNlb) < kOneRound) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(cluster.questions("eu-west-1a." + kNlb), 0);
}

TEST_F(ClusterServersTest, ZonesAreThoseOfTheNodesAnswer) {
  const std::string other = "web-fedcba9876543210.elb.eu-west-1.amazonaws.com";
  server.set({.addresses = {ip("10.0.5.5")}, .aliases = {kNlb}}, "web.example.com");
  cluster.set({.addresses = {ip("10.0.5.6")}, .aliases = {other}}, "web.example.com");
  Resolver::Options options = kFast;
  options.rare = 20ms;
  start(options);
  resolver->change_names({"web.example.com"});
  wait_for_questions(server, "eu-west-1f." + kNlb, kOneRound);
  wait_for_questions(cluster, "web.example.com", 20);
  EXPECT_EQ(server.questions("eu-west-1a." + other), 0);
}

}  // namespace
}  // namespace hairpind
