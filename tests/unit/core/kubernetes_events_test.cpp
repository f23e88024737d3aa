// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/kubernetes_events.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class KubernetesEventsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster.apply({.pods = {pod("web"), pod("cart")}}, now);
    alert.event = AlertEvent::kAsymmetricHandshake;
    alert.time = WallTime(1764168758s);
    alert.incident = "b775f4d550e3d157";
    alert.count = 1;
    alert.message = "SYN from pod shop/web was answered by 10.0.1.20:8443";
    alert.hint = "Turn it off.";
    alert.load_balancer = {.address = *IpAddress::parse("10.0.5.5"), .port = 443};
    alert.client_pod = PodRef{.namespace_name = "shop", .name = "web", .workload = "Deployment/web"};
    alert.load_balancer_service = LoadBalancerRef{.namespace_name = "shop", .service = "api"};
  }

  static Pod pod(const std::string& name) {
    Pod pod;
    pod.uid = "uid-" + name;
    pod.ref = {.namespace_name = "shop", .name = name, .workload = ""};
    return pod;
  }
  std::vector<KubernetesEvent> tell(const Alert& told) {
    events.on_alert(told, cluster, now);
    return events.take_due(now);
  }
  /// The same, with so many attempts and so much later.
  std::vector<KubernetesEvent> tell_again(std::uint64_t count, SinceBoot later) {
    now += later;
    alert.time += later;
    alert.event = AlertEvent::kAsymmetricHandshakeRepeated;
    alert.count = count;
    return tell(alert);
  }
  Alert over(AlertEvent event) const {
    Alert end = alert;
    end.event = event;
    end.message = "connections from this node to load balancer shop/api work again";
    return end;
  }
  static const KubernetesEvent* about(const std::vector<KubernetesEvent>& told, std::string_view kind,
                                      const std::string& name) {
    for (const KubernetesEvent& event : told) {
      if (event.object.kind == kind && event.object.name == name) {
        return &event;
      }
    }
    return nullptr;
  }

  Cluster cluster;
  KubernetesEvents events;
  Alert alert;
  SinceBoot now = 100s;
};

TEST_F(KubernetesEventsTest, AFailureIsToldOnTheClientsPodAndOnTheService) {
  const auto told = tell(alert);
  ASSERT_THAT(told, SizeIs(2));
  const KubernetesEvent* const pod = about(told, "Pod", "web");
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(pod->object.api_version, "v1");
  EXPECT_EQ(pod->object.namespace_name, "shop");
  EXPECT_EQ(pod->object.uid, "uid-web");
  EXPECT_EQ(pod->reason, "AsymmetricHairpin");
  EXPECT_TRUE(pod->warning);
  EXPECT_EQ(pod->message, "SYN from pod shop/web was answered by 10.0.1.20:8443. Turn it off.");
  EXPECT_EQ(pod->first, alert.time);
  EXPECT_EQ(pod->last, alert.time);
  EXPECT_EQ(pod->count, 1);
  EXPECT_FALSE(pod->told_before);
  const KubernetesEvent* const service = about(told, "Service", "api");
  ASSERT_NE(service, nullptr);
  EXPECT_EQ(service->object.api_version, "v1");
  EXPECT_EQ(service->object.uid, "") << "asked for where it is told";
  EXPECT_EQ(service->reason, "AsymmetricHairpin");
  EXPECT_THAT(pod->name, ::testing::MatchesRegex("web\\.[0-9a-f]+"));
  EXPECT_THAT(service->name, ::testing::MatchesRegex("api\\.[0-9a-f]+"));
}

TEST_F(KubernetesEventsTest, OneAnHourAndTheNextHasWhatWasCountedMeanwhile) {
  const auto first = tell(alert);
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_THAT(tell_again(5, 1min), IsEmpty());
  alert.message = "the newest";
  EXPECT_THAT(tell_again(9, 58min), IsEmpty());
  const WallTime last = alert.time;
  // Without anything new: what was counted is told when the hour is over.
  now += 59s;
  EXPECT_THAT(events.take_due(now), IsEmpty());
  now += 1s;
  const auto second = events.take_due(now);
  ASSERT_THAT(second, SizeIs(2));
  const KubernetesEvent* const service = about(second, "Service", "api");
  ASSERT_NE(service, nullptr);
  EXPECT_TRUE(service->told_before);
  EXPECT_EQ(service->name, about(first, "Service", "api")->name);
  EXPECT_EQ(service->count, 9);
  EXPECT_EQ(service->first, about(first, "Service", "api")->first);
  EXPECT_EQ(service->last, last);
  EXPECT_THAT(service->message, HasSubstr("the newest"));
  EXPECT_THAT(events.take_due(now + 10h), IsEmpty()) << "nothing has happened since";
}

TEST_F(KubernetesEventsTest, AttemptsOfSeveralClientsAddUpOnTheService) {
  alert.count = 3;
  EXPECT_EQ(about(tell(alert), "Service", "api")->count, 3);
  Alert other = alert;
  other.incident = "c0ffee0000000001";
  other.client_pod->name = "cart";
  other.count = 2;
  const auto told = tell(other);
  ASSERT_THAT(told, SizeIs(1)) << "the Service has had its own this hour";
  EXPECT_EQ(about(told, "Pod", "cart")->count, 2);
  EXPECT_EQ(about(tell_again(10, 1h), "Service", "api")->count, 12);
  // The kernel has forgotten the incident meanwhile, and counts from one.
  EXPECT_EQ(about(tell_again(1, 1h), "Service", "api")->count, 13);
}

TEST_F(KubernetesEventsTest, ItsEndIsAnEventOfItsOwnForAllWhoWereToldOfTheFailure) {
  tell(alert);
  Alert other = alert;
  other.incident = "c0ffee0000000001";
  other.client_pod->name = "cart";
  tell(other);
  const auto told = tell(over(AlertEvent::kAsymmetricHandshakeResolved));
  ASSERT_THAT(told, SizeIs(3));
  for (const KubernetesEvent& event : told) {
    EXPECT_EQ(event.reason, "HairpinResolved");
    EXPECT_FALSE(event.warning);
    EXPECT_EQ(event.count, 1);
    EXPECT_FALSE(event.told_before);
    EXPECT_THAT(event.message, HasSubstr("work again"));
  }
  EXPECT_NE(about(told, "Pod", "cart"), nullptr);
  // Another load balancer's end is not this one's.
  Alert elsewhere = alert;
  elsewhere.incident = "c0ffee0000000002";
  elsewhere.load_balancer.port = 8443;
  elsewhere.load_balancer_service->service = "other";
  tell(elsewhere);
  Alert end = over(AlertEvent::kAsymmetricHandshakeDormant);
  end.client_pod.reset();
  EXPECT_THAT(tell(end), SizeIs(1)) << "the Service's";
}

TEST_F(KubernetesEventsTest, ADormantOneIsAWarningAndPodsThatAreGoneHaveNone) {
  tell(alert);
  cluster.apply({.removed_pods = {*alert.client_pod}}, now);
  const auto told = tell(over(AlertEvent::kAsymmetricHandshakeDormant));
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].object.kind, "Service");
  EXPECT_EQ(told[0].reason, "HairpinDormant");
  EXPECT_TRUE(told[0].warning) << "nothing is fixed";
  // Of the same name, and another one: told as that, and not of what it has never had.
  Pod successor = pod("web");
  successor.uid = "uid-web-2";
  cluster.apply({.pods = {successor}}, now);
  const auto again = tell_again(2, 1min);
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].object.uid, "uid-web-2");
  EXPECT_EQ(again[0].count, 1);
}

TEST_F(KubernetesEventsTest, WhatIsNoFailureIsNotTold) {
  for (const AlertEvent event : {AlertEvent::kAsymmetricHandshakeEvidence, AlertEvent::kHairpinExposure}) {
    EXPECT_THAT(tell(over(event)), IsEmpty());
  }
  alert.client_pod.reset();
  alert.load_balancer_service.reset();
  EXPECT_THAT(tell(alert), IsEmpty()) << "of nobody known";
}

TEST_F(KubernetesEventsTest, WhoIsKnownLateIsToldOfAll) {
  Alert unnamed = alert;
  unnamed.count = 3;
  unnamed.client_pod.reset();
  unnamed.load_balancer_service.reset();
  EXPECT_THAT(tell(unnamed), IsEmpty());
  const auto told = tell_again(5, 1min);
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0].count, 5);
}

TEST_F(KubernetesEventsTest, OtherPublishersHaveTheirKind) {
  alert.client_pod.reset();
  alert.load_balancer_service = LoadBalancerRef{.namespace_name = "shop", .service = "edge", .kind = "Gateway"};
  auto told = tell(alert);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].object.api_version, "gateway.networking.k8s.io/v1");
  EXPECT_EQ(told[0].object.kind, "Gateway");
  alert.load_balancer_service = LoadBalancerRef{.namespace_name = "shop", .service = "edge", .kind = "Ingress"};
  told = tell(alert);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].object.api_version, "networking.k8s.io/v1");
  EXPECT_EQ(told[0].object.kind, "Ingress");
}

TEST_F(KubernetesEventsTest, AMessageIsOneLineOfPrintableText) {
  alert.message = "two\nlines \x1b[31m\xff \u202e" + std::string(2000, 'x');
  const auto told = tell(alert);
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_THAT(told[0].message, ::testing::StartsWith("two\\nlines \\x1b[31m\\xff \\u202exxx"));
  EXPECT_EQ(told[0].message.size(), 1024);
  EXPECT_THAT(told[0].message, ::testing::EndsWith("..."));
}

TEST_F(KubernetesEventsTest, NamesAreThoseThatAServerTakes) {
  alert.client_pod.reset();
  const std::string longest(253, 'a');
  alert.load_balancer_service->service = longest;
  auto told = tell(alert);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_LE(told[0].name.size(), 253);
  EXPECT_EQ(told[0].object.name, longest);
  alert.load_balancer_service->service = std::string(235, 'a') + ".-" + std::string(10, 'a');
  told = tell(alert);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(told[0].name, ::testing::MatchesRegex("a+\\.[0-9a-f]+")) << told[0].name;
  for (const char* const name : {"", "a/b", "../x", "a\r\nHost: b", "A", "a b", "a%2f"}) {
    alert.load_balancer_service->service = name;
    EXPECT_THAT(tell(alert), IsEmpty()) << name;
    alert.load_balancer_service = LoadBalancerRef{.namespace_name = name, .service = "api"};
    EXPECT_THAT(tell(alert), IsEmpty()) << name;
    alert.load_balancer_service = LoadBalancerRef{.namespace_name = "shop", .service = ""};
  }
}

TEST_F(KubernetesEventsTest, NoNameIsThereTwice) {
  alert.load_balancer_service->service = "web";
  const auto told = tell(alert);
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_NE(told[0].name, told[1].name) << "a pod and a Service of one name, in the same nanosecond";
  const auto end = tell(over(AlertEvent::kAsymmetricHandshakeResolved));
  ASSERT_THAT(end, SizeIs(2));
  EXPECT_NE(end[0].name, told[0].name);
}

TEST_F(KubernetesEventsTest, MoreThanThereIsRoomForIsLostAndNobodysHourIsShortened) {
  alert.client_pod.reset();
  const auto tell_of = [&](int number) {
    alert.load_balancer_service->service = "s" + std::to_string(number);
    alert.incident = std::to_string(number);
    return tell(alert);
  };
  constexpr int kMost = KubernetesEvents::kMost;
  for (int i = 0; i < kMost; i++) {
    ASSERT_THAT(tell_of(i), SizeIs(1));
    now += 1s;
  }
  EXPECT_THAT(tell_of(kMost), IsEmpty());
  EXPECT_EQ(events.lost(), 1);
  now += 1h - std::chrono::seconds(kMost);
  EXPECT_THAT(tell_of(kMost), SizeIs(1)) << "in the place of the one that has had its hour";
  EXPECT_THAT(tell_of(kMost + 1), IsEmpty());
  now += 25h;
  EXPECT_THAT(events.take_due(now), IsEmpty());
  EXPECT_THAT(tell_of(1), SizeIs(1));
  EXPECT_FALSE(events.take_due(now + 1h).size() != 0);
}

TEST_F(KubernetesEventsTest, AfterADayItIsAnotherEvent) {
  const auto first = tell(alert);
  EXPECT_THAT(tell_again(2, 23h), SizeIs(2));
  now += 24h;
  EXPECT_THAT(events.take_due(now), IsEmpty());
  const auto later = tell_again(3, 1min);
  ASSERT_THAT(later, SizeIs(2));
  EXPECT_FALSE(later[0].told_before);
  EXPECT_EQ(later[0].count, 1);
  EXPECT_NE(later[0].name, first[0].name);
}

TEST_F(KubernetesEventsTest, ACountIsWhatAnInt32Holds) {
  alert.count = 1ULL << 40U;
  const auto told = tell(alert);
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0].count, 2147483647);
}

}  // namespace
}  // namespace hairpind
