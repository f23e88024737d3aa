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

const Resolver::Options kFast{.shortest_ttl = 20ms, .longest_ttl = 50ms, .retry = 20ms, .grace = 10min, .servers = {}};

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
