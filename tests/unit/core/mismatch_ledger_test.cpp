// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/mismatch_ledger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attempts.hpp"

namespace hairpind {
namespace {

using testing::endpoint;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

const Endpoint kLb = endpoint("10.0.5.5", 443);

IncidentCount incident(std::uint64_t count, const char* client = "10.0.1.10", const Endpoint& lb = kLb,
                       Cause cause = Cause::kHairpinIpTarget) {
  IncidentCount result;
  result.key = {.client = *IpAddress::parse(client),
                .load_balancer = lb,
                .responder = endpoint("10.0.1.20", 8443),
                .cause = cause};
  result.count = count;
  return result;
}

MismatchSeries series(const std::string& client_namespace, const std::string& service = "shop/api",
                      const Endpoint& lb = kLb, Cause cause = Cause::kHairpinIpTarget) {
  return {.load_balancer = lb, .service = service, .cause = cause, .client_namespace = client_namespace};
}

LoadBalancerCounters row(const std::string& service, std::uint64_t unpaired = 0, const Endpoint& lb = kLb) {
  LoadBalancerCounters result{.load_balancer = lb, .service = service};
  result.unpaired.at(HP_CAUSE_HAIRPIN_IP_TARGET) = unpaired;
  return result;
}

MismatchLedger::NamespaceOf always(const std::string& name) {
  return [name](const IncidentCount&) { return name; };
}

std::uint64_t sum(const MismatchLedger& ledger) {
  std::uint64_t total = 0;
  for (const auto& [key, count] : ledger.counts()) {
    total += count;
  }
  return total;
}

TEST(MismatchLedger, BooksEachIncreaseOnceByNamespace) {
  MismatchLedger ledger;
  const auto by_client = [](const IncidentCount& seen) {
    return seen.key.client == *IpAddress::parse("10.0.1.10") ? "web" : "batch";
  };
  ledger.book({incident(3), incident(4, "10.0.1.11")}, {row("shop/api")}, by_client);
  ledger.book({incident(3), incident(9, "10.0.1.11")}, {row("shop/api")}, by_client);
  EXPECT_THAT(ledger.counts(), UnorderedElementsAre(Pair(series("web"), 3), Pair(series("batch"), 9)));
}

TEST(MismatchLedger, TwoPairsOfOneNamespaceAreOneSeriesAndTwoCausesAreTwo) {
  MismatchLedger ledger;
  ledger.book({incident(1), incident(2, "10.0.1.11"), incident(4, "10.0.1.10", kLb, Cause::kHairpinNodePort)},
              {row("shop/api")}, always("web"));
  EXPECT_THAT(ledger.counts(), UnorderedElementsAre(Pair(series("web"), 3),
                                                    Pair(series("web", "shop/api", kLb, Cause::kHairpinNodePort), 4)));
}

TEST(MismatchLedger, WhatIsBookedStaysWhateverBecomesOfTheNames) {
  MismatchLedger ledger;
  ledger.book({incident(3)}, {row("shop/api")}, always("web"));
  ledger.book({incident(5)}, {row("shop/new")}, always("batch"));
  ledger.book({incident(6)}, {row("")}, always(""));
  EXPECT_THAT(ledger.counts(), UnorderedElementsAre(Pair(series("web"), 3), Pair(series("batch", "shop/new"), 2),
                                                    Pair(series("", ""), 1)));
}

TEST(MismatchLedger, AnIncidentThatWentAndCameBackStartsAtItsNewCount) {
  MismatchLedger ledger;
  const std::vector rows{row("shop/api")};
  ledger.book({incident(10)}, rows, always("web"));
  ledger.book({}, rows, always("web"));
  EXPECT_EQ(sum(ledger), 10);
  ledger.book({incident(12)}, rows, always("web"));
  EXPECT_EQ(sum(ledger), 22) << "absent in between";
  ledger.book({incident(2)}, rows, always("web"));
  EXPECT_EQ(sum(ledger), 24) << "not seen absent, but fewer";
  ledger.forget(incident(0).key);
  ledger.book({incident(5)}, rows, always("web"));
  EXPECT_EQ(sum(ledger), 29) << "forgotten";
}

TEST(MismatchLedger, WhatFoundNoRoomAmongTheIncidentsHasNoNamespace) {
  MismatchLedger ledger;
  ledger.book({incident(3)}, {row("shop/api", 4)}, always("web"));
  ledger.book({incident(3)}, {row("shop/new", 7)}, always("web"));
  ledger.book({incident(3)}, {row("shop/new", 7)}, always("web"));
  EXPECT_THAT(ledger.counts(),
              UnorderedElementsAre(Pair(series("web"), 3), Pair(series(""), 4), Pair(series("", "shop/new"), 3)));
}

TEST(MismatchLedger, LoadBalancersBeyondTheKernelsTableAreTheOther) {
  MismatchLedger ledger;
  ledger.book({incident(3, "10.0.1.10", endpoint("10.0.5.9", 443))}, {row("", 0, Endpoint{}), row("shop/api")},
              always("web"));
  EXPECT_THAT(ledger.counts(), UnorderedElementsAre(Pair(series("web", "", Endpoint{}), 3)));
}

TEST(MismatchLedger, BeyondTheLimitTheNamespaceIsOther) {
  MismatchLedger ledger;
  const std::vector rows{row("shop/api")};
  constexpr std::size_t kBeyond = 20;
  std::vector<IncidentCount> incidents;
  for (std::size_t i = 0; i < MismatchLedger::kNamedSeries + kBeyond; i++) {
    incidents.push_back(incident(1));
    incidents.back().key.client.bytes = {static_cast<std::uint8_t>(i / 256), static_cast<std::uint8_t>(i % 256)};
  }
  const auto one_each = [](const IncidentCount& seen) {
    return "n" + std::to_string(seen.key.client.bytes[0] * 256 + seen.key.client.bytes[1]);
  };
  ledger.book(incidents, rows, one_each);
  EXPECT_EQ(ledger.counts().size(), MismatchLedger::kNamedSeries + 1);
  EXPECT_EQ(ledger.counts().at(series("other")), kBeyond);
  EXPECT_EQ(ledger.counts().at(series("n0")), 1);
  incidents.front().count = 5;
  incidents.back().count = 5;
  ledger.book(incidents, rows, one_each);
  EXPECT_EQ(ledger.counts().at(series("n0")), 5) << "one that has a series keeps it";
  EXPECT_EQ(ledger.counts().at(series("other")), kBeyond + 4);
  EXPECT_EQ(sum(ledger), MismatchLedger::kNamedSeries + kBeyond + 8);
}

TEST(MismatchLedger, NothingHappensWithoutMismatches) {
  MismatchLedger ledger;
  ledger.book({}, {row("shop/api")}, always("web"));
  EXPECT_THAT(ledger.counts(), IsEmpty());
}

TEST(MismatchLedger, ARowThatWasGivenBackBeginsAnew) {
  MismatchLedger ledger;
  ledger.book({}, {row("shop/api", 5)}, always(""));
  ledger.book({}, {row("shop/api", 2)}, always(""));
  EXPECT_EQ(sum(ledger), 7);
}

}  // namespace
}  // namespace hairpind
