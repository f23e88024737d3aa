// SPDX-License-Identifier: Apache-2.0
// The parts that there are only in Kubernetes, fed with values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../core/attempts.hpp"
#include "cluster_sync.hpp"
#include "exposure_watch.hpp"
#include "mismatch_books.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::endpoint;
using testing::ip_target_attempt;
using ::testing::IsEmpty;

const WallTime kWall{1000h};
constexpr SinceBoot kNow = 100h;
const Endpoint kLb = endpoint("10.0.5.5", 443);

Pod pod(const std::string& name, const char* address, const std::string& name_space = "shop") {
  Pod result;
  result.uid = name;
  result.ref = {.namespace_name = name_space, .name = name, .workload = ""};
  result.ready = true;
  result.labels = {{"app", name}};
  result.addresses = {*IpAddress::parse(address)};
  return result;
}

// As the AWS Load Balancer Controller makes one by default: it keeps the client's address.
Service service(const std::string& name, const std::string& ip, const std::string& hostname = "") {
  Service result;
  result.namespace_name = "shop";
  result.name = name;
  result.type = "LoadBalancer";
  result.load_balancer_class = "service.k8s.aws/nlb";
  result.ports = {{.name = "https", .protocol = "TCP", .port = 443, .node_port = 30443}};
  result.ingress = {{.ip = ip, .hostname = hostname, .ip_mode = "Proxy"}};
  result.selector = {{"app", "api"}};
  return result;
}

struct FakeSource {
  ClusterChanges changes;
  bool synced = false;

  ClusterSync::Source source() {
    return {.take_changes = [this] { return std::exchange(changes, {}); }, .synced = [this] { return synced; }};
  }
};

TEST(ClusterSync, TellsOnceUntilItHasTaken) {
  ClusterSync sync;
  FakeSource fake;
  EXPECT_TRUE(sync.is_news());
  EXPECT_FALSE(sync.is_news()) << "a burst is one task for the loop";
  fake.changes = {.services = {service("api", "10.0.5.5")}};
  fake.synced = true;
  sync.take(fake.source(), kNow);
  EXPECT_TRUE(sync.is_news());
  EXPECT_TRUE(sync.synced());
  EXPECT_THAT(sync.take_watch_changes({}).added, ElementsAre(Frontend{.address = kLb.address, .port = 443}));
}

// What came in between may be of later than the moment that was in step.
TEST(ClusterSync, InStepIsNotSaidOfWhatHasNotBeenTaken) {
  ClusterSync sync;
  FakeSource fake;
  ClusterSync::Source source = fake.source();
  source.take_changes = [&] {
    fake.synced = true;
    return ClusterChanges{};
  };
  sync.take(source, kNow);
  EXPECT_FALSE(sync.synced());
}

TEST(ClusterSync, ANameThatIsConfiguredTooStaysResolved) {
  ClusterSync sync;
  FakeSource fake;
  fake.changes = {.services = {service("api", "", "lb.example.com"), service("web", "", "other.example.com")}};
  sync.take(fake.source(), kNow);
  EXPECT_EQ(sync.take_watch_changes({}).new_hostnames.size(), 2);
  sync.on_resolution({.name = "lb.example.com", .addresses = {kLb.address}});
  EXPECT_EQ(sync.take_watch_changes({}).added.size(), 1);
  fake.changes = {.removed_services = {"shop/api", "shop/web"}};
  sync.take(fake.source(), kNow);
  EXPECT_THAT(sync.take_watch_changes({"lb.example.com"}).old_hostnames, ElementsAre("other.example.com"));
}

LoadBalancerCounters row(const Endpoint& lb) {
  return {.load_balancer = lb};
}

IncidentCount incident(std::uint64_t count) {
  IncidentCount result{.key = IncidentKey::of(ip_target_attempt()), .count = count, .last_event = kNow, .example = {}};
  result.example = ip_target_attempt();
  return result;
}

TEST(MismatchBooks, BookUnderTheNamesOfTheMomentAndKeepTheLastOfAService) {
  Cluster cluster;
  cluster.apply({.pods = {pod("web", "10.0.1.10", "front")}, .services = {service("api", "10.0.5.5")}}, kNow);
  MismatchBooks books;
  books.book({incident(3)}, {row({}), row(kLb)}, {}, cluster);
  const MismatchSeries series{
      .load_balancer = kLb, .service = "shop/api", .cause = Cause::kHairpinIpTarget, .client_namespace = "front"};
  EXPECT_EQ(books.named()->mismatches.at(series), 3);
  cluster.apply({.removed_services = {"shop/api"}}, kNow);
  books.book({incident(3)}, {row({}), row(kLb)}, {}, cluster);
  EXPECT_EQ(books.named()->services.at(kLb), "shop/api") << "a series keeps its label";
  books.forget(incident(0).key);
  books.book({incident(2)}, {row({}), row(kLb)}, {}, cluster);
  EXPECT_EQ(books.named()->mismatches.at(series), 5) << "its count has started over";
}

TEST(MismatchBooks, WhatHasNoSeriesNeedsNoName) {
  Cluster cluster;
  cluster.apply({.services = {service("api", "10.0.5.5")}}, kNow);
  MismatchBooks books;
  books.book({}, {row({})}, {{kLb, {}}}, cluster);
  EXPECT_EQ(books.named()->services.at(kLb), "shop/api") << "of a problem, before it is called again";
  books.book({}, {row({})}, {}, cluster);
  EXPECT_EQ(books.named()->services.count(kLb), 0);
  EXPECT_EQ(books.named()->services.size(), 1);
}

ProblemStanding in(ProblemState state) {
  ProblemStanding standing;
  standing.state = state;
  return standing;
}

class ExposureWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster.apply(
        {.pods = {pod("web", "10.0.1.10"), pod("api", "10.0.1.20")}, .services = {service("api", "10.0.5.5")}}, kNow);
  }
  std::vector<Alert> look(SinceBoot now = kNow, const std::vector<IncidentCount>& incidents = {}) {
    return watch.look({.callers = callers, .incidents = incidents, .load_balancers = rows}, problems, cluster, now,
                      kWall);
  }

  Cluster cluster;
  std::vector<Caller> callers{{.client = *IpAddress::parse("10.0.1.10"), .load_balancer = kLb, .last = kNow - 59min}};
  std::vector<LoadBalancerCounters> rows;
  ProblemStatus problems;
  ExposureWatch watch{"n1"};
};

TEST_F(ExposureWatchTest, IsToldOnceForEachServiceAndAgainWhenItIsAnother) {
  const auto alerts = look();
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].event, AlertEvent::kHairpinExposure);
  EXPECT_EQ(watch.pairs().at("shop/api"), 1);
  EXPECT_THAT(look(), IsEmpty());
  EXPECT_EQ(watch.pairs().at("shop/api"), 1) << "it is still so";
  cluster.apply({.removed_services = {"shop/api"}}, kNow);
  EXPECT_THAT(look(), IsEmpty());
  EXPECT_THAT(watch.pairs(), IsEmpty());
  cluster.apply({.services = {service("api", "10.0.5.5")}}, kNow);
  EXPECT_EQ(look().size(), 1);
}

TEST_F(ExposureWatchTest, IsNoneWithoutABackendBesideTheClientOrWithoutACall) {
  Pod starting = pod("api", "10.0.1.20");
  starting.ready = false;
  cluster.apply({.pods = {starting}}, kNow);
  EXPECT_THAT(look(), IsEmpty());
  EXPECT_THAT(watch.pairs(), IsEmpty());
  cluster.apply({.pods = {pod("api", "10.0.1.20")}}, kNow);
  EXPECT_THAT(look(kNow + 2h), IsEmpty()) << "it may have been told not to";
  callers[0].client = *IpAddress::parse("10.0.1.20");
  EXPECT_THAT(look(), IsEmpty()) << "the only backend is the client itself";
}

TEST_F(ExposureWatchTest, ASynThatCameBackProvesIt) {
  Service unknown = service("api", "10.0.5.5");
  unknown.load_balancer_class = "example.com/of-our-own";
  cluster.apply({.services = {unknown}}, kNow);
  EXPECT_THAT(look(), IsEmpty()) << "it may be safe";
  EXPECT_THAT(watch.pairs(), IsEmpty());
  IncidentCount seen = incident(1);
  seen.last_event = kNow + 1s;
  const auto alerts = look(kNow + 1s, {seen});
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_THAT(alerts[0].hint, ::testing::HasSubstr("a SYN was seen coming back"));
  EXPECT_LE(alerts[0].message.size(), 200);
  EXPECT_EQ(watch.pairs().at("shop/api"), 1);
}

TEST_F(ExposureWatchTest, IsOverOnceTheServiceIsMended) {
  EXPECT_EQ(look().size(), 1);
  Service mended = service("api", "10.0.5.5");
  mended.annotations = {
      {"service.beta.kubernetes.io/aws-load-balancer-target-group-attributes", "preserve_client_ip.enabled=false"}};
  IncidentCount before = incident(1);
  before.last_event = kNow + 1s;
  cluster.apply({.services = {mended}}, kNow + 2s);
  EXPECT_THAT(look(kNow + 3s, {before}), IsEmpty());
  EXPECT_THAT(watch.pairs(), IsEmpty()) << "what was seen before it changed says nothing";
  cluster.apply({.services = {mended}}, kNow + 5s);
  IncidentCount since = before;
  since.last_event = kNow + 4s;
  EXPECT_THAT(look(kNow + 5s, {since}), IsEmpty()) << "told of before, while it lasted or not";
  EXPECT_EQ(watch.pairs().at("shop/api"), 1) << "the same again is no change: the setting is not the load balancer's";
  callers[0].last = kNow + 2h;
  EXPECT_THAT(look(kNow + 2h, {since}), IsEmpty());
  EXPECT_THAT(watch.pairs(), IsEmpty()) << "nothing came back for long: mended where no Service tells";
}

TEST_F(ExposureWatchTest, IsOverOnceItIsProvenToWorkUntilTheServiceChanges) {
  IncidentCount seen = incident(1);
  seen.last_event = kNow + 1s;
  EXPECT_EQ(look(kNow + 1s, {seen}).size(), 1);
  problems = {{endpoint("10.0.5.6", 443), in(ProblemState::kFixed)}, {kLb, in(ProblemState::kActive)}};
  look(kNow + 2s, {seen});
  EXPECT_EQ(watch.pairs().at("shop/api"), 1) << "another one";
  problems[kLb] = in(ProblemState::kFixed);
  look(kNow + 3s, {seen});
  EXPECT_THAT(watch.pairs(), IsEmpty());
  Service changed = service("api", "10.0.5.5");
  changed.annotations = {
      {"service.beta.kubernetes.io/aws-load-balancer-target-group-attributes", "preserve_client_ip.enabled=true"}};
  cluster.apply({.services = {changed}}, kNow + 4s);
  look(kNow + 5s, {seen});
  EXPECT_EQ(watch.pairs().at("shop/api"), 1) << "what was proven was of another setting";
  problems[kLb] = in(ProblemState::kActive);
  look(kNow + 6s);
  problems[kLb] = in(ProblemState::kFixed);
  look(kNow + 7s);
  EXPECT_THAT(watch.pairs(), IsEmpty()) << "proven anew";
  problems.clear();
  look(kNow + 8s);
  EXPECT_EQ(watch.pairs().at("shop/api"), 1) << "nothing is known of it any more";
}

TEST_F(ExposureWatchTest, IsNoneWhereTheNodeTranslates) {
  rows = {{.load_balancer = kLb, .translations = 7}};
  EXPECT_THAT(look(), IsEmpty());
  EXPECT_THAT(watch.pairs(), IsEmpty());
  callers[0].last = kNow + 2h;
  EXPECT_EQ(look(kNow + 2h).size(), 1) << "not any more";
  rows[0].translations++;
  EXPECT_THAT(look(kNow + 2h), IsEmpty());
  EXPECT_THAT(watch.pairs(), IsEmpty());
  rows = {{.load_balancer = kLb}};
  look(kNow + 2h);
  EXPECT_EQ(watch.pairs().at("shop/api"), 1) << "another row";
}

TEST_F(ExposureWatchTest, IsNoneOfAVirtualAddress) {
  Service virtual_ip = service("api", "10.0.5.5");
  virtual_ip.ingress[0].ip_mode = "VIP";
  cluster.apply({.services = {virtual_ip}}, kNow);
  EXPECT_THAT(look(), IsEmpty());
  EXPECT_THAT(watch.pairs(), IsEmpty());
}

}  // namespace
}  // namespace hairpind
