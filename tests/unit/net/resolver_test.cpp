// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/resolver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
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

  DnsServer server;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Resolution> resolutions;
  std::vector<std::string> errors;
  std::unique_ptr<Resolver> resolver;
};

const Resolver::Options kFast{
    .shortest_ttl = 20ms, .longest_ttl = 50ms, .retry = 20ms, .grace = 10min, .most_addresses = 64, .servers = {}};

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
  server.set(answer(0, 8));
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
  for (const IpAddress& address : answer(4, 4).addresses) {
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

TEST_F(ResolverTest, ANameThatWasDroppedIsToldOfAgain) {
  server.set({.addresses = {ip("10.0.5.5")}});
  start({.servers = {}});
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
  start({.servers = {}});
  std::set<std::string> names;
  for (std::size_t i = 0; i < kNames; i++) {
    names.insert("lb" + std::to_string(i) + ".test");
  }
  resolver->change_names(names);
  EXPECT_TRUE(wait_until([&] {
    std::set<std::string> told;
    for (const Resolution& resolution : resolutions) {
      told.insert(resolution.name);
    }
    return std::ranges::includes(told, names);
  }));
  EXPECT_THAT(errors, ::testing::IsEmpty());
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

}  // namespace
}  // namespace hairpind
