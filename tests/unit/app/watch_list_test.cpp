// SPDX-License-Identifier: Apache-2.0
#include "watch_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "../bpf/fake_map.hpp"

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using testing::FakeMap;
using ::testing::IsEmpty;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
Frontend frontend(const char* address) {
  return {.address = ip(address), .port = 443};
}

class WatchListTest : public ::testing::Test {
 protected:
  void start(const std::vector<LoadBalancerSpec>& configured) { list.emplace(table, configured); }
  void cluster(const std::vector<Frontend>& added, const std::vector<Frontend>& removed = {}) {
    list->on_cluster({.added = added, .removed = removed, .new_hostnames = {}, .old_hostnames = {}});
  }

  FakeMap frontends;
  FakeMap prefixes;
  std::array<__u64, HP_ADDRESS_FILTER_BITS / 64> filter{};
  FrontendTable table{{.frontends = frontends, .prefixes = prefixes, .filter = filter}};
  std::optional<WatchList> list;
};

TEST_F(WatchListTest, AServiceThatGoesDoesNotTakeTheConfiguredWithIt) {
  start({frontend("10.0.5.5")});
  cluster({frontend("10.0.5.5"), frontend("10.0.5.6")});
  EXPECT_THAT(table.watched(), ElementsAre(frontend("10.0.5.5"), frontend("10.0.5.6")));
  EXPECT_EQ(list->status().by_origin.at("configured"), 1);
  EXPECT_EQ(list->status().by_origin.at("service"), 2);
  cluster({}, {frontend("10.0.5.5"), frontend("10.0.5.6")});
  EXPECT_THAT(table.watched(), ElementsAre(frontend("10.0.5.5")));
  EXPECT_EQ(list->status().by_origin.at("service"), 0);
}

TEST_F(WatchListTest, AConfiguredNamesAddressesFollowDnsAndDoNotTakeTheClustersWithThem) {
  start({HostName{.name = "lb.example.com", .port = 443}, frontend("10.0.5.5")});
  EXPECT_THAT(list->hosts(), ElementsAre("lb.example.com"));
  list->on_resolution({.name = "lb.example.com", .addresses = {ip("10.0.5.5"), ip("10.0.5.6"), ip("10.0.5.7")}});
  cluster({frontend("10.0.5.6")});
  EXPECT_EQ(table.watched().size(), 3);
  list->on_resolution({.name = "lb.example.com", .addresses = {ip("10.0.5.8")}});
  EXPECT_THAT(table.watched(), ElementsAre(frontend("10.0.5.5"), frontend("10.0.5.6"), frontend("10.0.5.8")))
      << "10.0.5.5 is configured itself, 10.0.5.6 a Service's";
  list->on_resolution({.name = "other.example.com", .addresses = {ip("10.0.5.9")}});
  EXPECT_EQ(table.watched().size(), 3) << "somebody else's name";
}

TEST_F(WatchListTest, WhatFoundNoRoomIsTriedAgainAndCounted) {
  frontends.make_room(2);
  start({frontend("10.0.5.1"), frontend("10.0.5.2")});
  EXPECT_EQ(list->status().watched, 1);
  EXPECT_EQ(list->status().unwatched, 1);
  list->retry();
  EXPECT_EQ(list->status().unwatched, 1);
  frontends.make_room(4);
  list->retry();
  EXPECT_EQ(list->status().watched, 2);
  EXPECT_EQ(list->status().unwatched, 0);
  const std::size_t puts = frontends.puts();
  list->retry();
  EXPECT_EQ(frontends.puts(), puts) << "all is well, nothing is written";
}

TEST_F(WatchListTest, AFullTableRecoversByWhatGoes) {
  frontends.make_room(4);
  start({});
  cluster({frontend("10.0.5.1"), frontend("10.0.5.2"), frontend("10.0.5.3"), frontend("10.0.5.4")});
  EXPECT_EQ(list->status().watched, 2);
  EXPECT_EQ(list->status().unwatched, 2);
  cluster({frontend("10.0.5.5")}, {frontend("10.0.5.1")});
  EXPECT_THAT(table.watched(), ElementsAre(frontend("10.0.5.2"), frontend("10.0.5.3")));
  cluster({}, {frontend("10.0.5.4"), frontend("10.0.5.5")});
  EXPECT_EQ(list->status().unwatched, 0) << "one that nobody wants any more is not missed";
}

TEST_F(WatchListTest, WhatWasLearnedStaysUntilItIsUnusedAndBelongsToWhoNamesIt) {
  const Endpoint load_balancer{.address = ip("10.0.5.6"), .port = 443};
  start({frontend("10.0.5.5")});
  EXPECT_EQ(list->origin_of(load_balancer), std::nullopt);
  list->on_learned({.added = {frontend("10.0.5.6"), frontend("10.0.5.7")}, .removed = {}});
  EXPECT_EQ(table.watched().size(), 3);
  EXPECT_EQ(list->status().by_origin.at("learned"), 2);
  EXPECT_EQ(list->origin_of(load_balancer), LoadBalancerOrigin::kLearned);
  cluster({frontend("10.0.5.6")});
  EXPECT_EQ(list->origin_of(load_balancer), LoadBalancerOrigin::kService);
  list->on_learned({.added = {}, .removed = {frontend("10.0.5.6"), frontend("10.0.5.7")}});
  EXPECT_THAT(table.watched(), ElementsAre(frontend("10.0.5.5"), frontend("10.0.5.6")));
  EXPECT_EQ(list->status().by_origin.at("learned"), 0);
  EXPECT_EQ(list->origin_of({.address = ip("10.0.5.5"), .port = 443}), LoadBalancerOrigin::kConfigured);
  EXPECT_EQ(list->origin_of({.address = ip("10.0.5.5"), .port = 444}), std::nullopt);
}

TEST_F(WatchListTest, AnAddressOrAPrefixNamesEachOfItsPorts) {
  start({Frontend{.address = ip("10.0.5.5")}, Frontend{.address = ip("10.1.0.0"), .prefix_length = 112}});
  for (const char* const address : {"10.0.5.5", "10.1.200.1"}) {
    EXPECT_EQ(list->origin_of({.address = ip(address), .port = 444}), LoadBalancerOrigin::kConfigured) << address;
  }
  EXPECT_EQ(list->origin_of({.address = ip("10.2.0.1"), .port = 444}), std::nullopt);
}

TEST_F(WatchListTest, WhatWasLearnedGivesWayAndIsNotMissed) {
  frontends.make_room(4);
  start({frontend("10.0.5.1")});
  list->on_learned({.added = {frontend("10.0.5.2")}, .removed = {}});
  list->on_learned({.added = {frontend("10.0.5.3")}, .removed = {}});
  EXPECT_THAT(table.watched(), ElementsAre(frontend("10.0.5.1"), frontend("10.0.5.2")));
  EXPECT_EQ(list->status().unwatched, 0) << "who was learned is not waited for";
  cluster({frontend("10.0.5.4")});
  EXPECT_THAT(table.watched(), ElementsAre(frontend("10.0.5.1"), frontend("10.0.5.4")));
  EXPECT_EQ(list->status().unwatched, 0);
  EXPECT_EQ(list->status().by_origin.at("learned"), 0);
  list->on_learned({.added = {}, .removed = {frontend("10.0.5.2")}});
  list->retry();
  EXPECT_THAT(table.watched(), ElementsAre(frontend("10.0.5.1"), frontend("10.0.5.4")));
}

TEST_F(WatchListTest, SeriesAreForTheFewThatHaveAPort) {
  Frontend prefix = frontend("10.1.0.0");
  prefix.port = 0;
  prefix.prefix_length = 120;
  start({frontend("10.0.5.5"), Frontend{.address = ip("10.0.5.6")}, prefix});
  EXPECT_THAT(list->listed(), ElementsAre(Endpoint{.address = ip("10.0.5.5"), .port = 443}));
  std::vector<Frontend> many;
  for (std::uint16_t port = 1; port <= 300; port++) {
    many.push_back({.address = ip("10.0.5.7"), .port = port});
  }
  cluster(many);
  EXPECT_THAT(list->listed(), IsEmpty());
}

}  // namespace
}  // namespace hairpind
