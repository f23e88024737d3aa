// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/cluster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::endpoint;
using ::testing::IsEmpty;

constexpr SinceBoot kStart = 1000h;

Pod pod(const std::string& name, const std::string& address, const std::string& uid = "") {
  Pod result;
  result.uid = uid.empty() ? name : uid;
  result.ref = {.namespace_name = "shop", .name = name, .workload = "Deployment/" + name};
  result.ready = true;
  result.labels = {{"app", name}};
  result.addresses = {*IpAddress::parse(address)};
  return result;
}

Service service(const std::string& name, const std::string& hostname, const std::string& ip = "") {
  Service result;
  result.namespace_name = "shop";
  result.name = name;
  result.type = "LoadBalancer";
  result.ports = {{.name = "https", .protocol = "TCP", .port = 443, .node_port = 30443},
                  {.name = "quic", .protocol = "UDP", .port = 444, .node_port = 30444}};
  result.ingress = {{.ip = ip, .hostname = hostname, .ip_mode = ""}};
  result.selector = {{"app", "api"}};
  return result;
}

std::string name_at(const Cluster& cluster, const char* address, SinceBoot time, std::uint16_t port = 1) {
  const auto found = cluster.pod_at(endpoint(address, port), time);
  return found ? found->name : "";
}

TEST(Cluster, NamesPodsByAddress) {
  Cluster cluster;
  Pod web = pod("web", "10.0.1.10");
  web.addresses.push_back(*IpAddress::parse("fd00:1::10"));
  cluster.apply({.pods = {web, pod("api", "10.0.1.20")}}, kStart);
  EXPECT_EQ(cluster.pod_at(endpoint("10.0.1.10", 1), kStart), web.ref);
  EXPECT_EQ(name_at(cluster, "fd00:1::10", kStart), "web");
  EXPECT_EQ(name_at(cluster, "10.0.1.20", kStart), "api");
  EXPECT_EQ(name_at(cluster, "10.0.1.30", kStart), "");
}

TEST(Cluster, TheAddressesOfItsPodsAreThoseThatAreTheirsNow) {
  Cluster cluster;
  Pod web = pod("web", "10.0.1.10");
  web.addresses.push_back(*IpAddress::parse("fd00:1::10"));
  Pod host = pod("host", "10.0.0.4");
  host.host_network = true;
  Pod done = pod("done", "10.0.1.40");
  done.finished = true;
  cluster.apply({.pods = {web, pod("api", "10.0.1.20"), host, done}}, kStart);
  EXPECT_THAT(cluster.pod_addresses(), ElementsAre(*IpAddress::parse("10.0.1.10"), *IpAddress::parse("10.0.1.20"),
                                                   *IpAddress::parse("fd00:1::10")));
  cluster.apply({.removed_pods = {web.ref}}, kStart + 10s);
  EXPECT_THAT(cluster.pod_addresses(), ElementsAre(*IpAddress::parse("10.0.1.20"))) << "without the grace";
}

TEST(Cluster, AnAddressOfAnotherDeviceOfAPodIsThePods) {
  Cluster cluster;
  cluster.apply({.pods = {pod("web", "fd00:1::10")}}, kStart);
  EXPECT_EQ(name_at(cluster, "169.254.172.5", kStart), "");
  cluster.set_further_addresses({{*IpAddress::parse("169.254.172.5"), *IpAddress::parse("fd00:1::10")},
                                 {*IpAddress::parse("169.254.172.6"), *IpAddress::parse("169.254.172.5")}});
  EXPECT_EQ(name_at(cluster, "169.254.172.5", kStart), "web");
  EXPECT_EQ(name_at(cluster, "169.254.172.6", kStart), "") << "not named by the API, nor is what it goes by";
}

TEST(Cluster, WhatAPodClaimsIsItsOwnWhereNobodyElseHasOrClaimsIt) {
  Cluster cluster;
  const auto claims = [](Pod result, const char* address) {
    result.claimed = {*IpAddress::parse(address)};
    return result;
  };
  const auto addresses = [&] { return cluster.pod_addresses().size(); };
  cluster.apply({.pods = {claims(pod("web", "10.0.1.10"), "192.168.7.10"), pod("api", "10.0.1.20")},
                 .services = {service("web", "", "10.0.5.5")},
                 .node = Node{.addresses = {*IpAddress::parse("10.0.0.4")}, .zone = "", .provider_id = ""}},
                kStart);
  EXPECT_EQ(name_at(cluster, "192.168.7.10", kStart), "web");
  EXPECT_EQ(addresses(), 3);
  for (const char* const others : {"10.0.1.20", "10.0.0.4", "10.0.5.5", "192.168.7.10"}) {
    cluster.apply({.pods = {claims(pod("thief", "10.0.1.66"), others)}}, kStart);
    EXPECT_NE(name_at(cluster, others, kStart), "thief") << others;
    EXPECT_EQ(cluster.pod_addresses().contains(*IpAddress::parse("10.0.0.4")), false);
  }
  EXPECT_EQ(name_at(cluster, "192.168.7.10", kStart), "") << "of two who claim it, nobody's";
  cluster.apply({.removed_pods = {pod("thief", "10.0.1.66").ref}}, kStart);
  EXPECT_EQ(name_at(cluster, "192.168.7.10", kStart), "web");
  cluster.apply({.pods = {pod("web", "10.0.1.10")}}, kStart);
  EXPECT_EQ(name_at(cluster, "192.168.7.10", kStart), "") << "given up";
  Pod done = claims(pod("job", "10.0.1.30"), "192.168.7.30");
  done.finished = true;
  cluster.apply({.pods = {done}}, kStart);
  EXPECT_EQ(name_at(cluster, "192.168.7.30", kStart), "");
}

TEST(Cluster, PodsOfTheFirstListWereThereAllAlong) {
  Cluster cluster;
  cluster.apply({.pods = {pod("web", "10.0.1.10")}}, kStart);
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart - 1h), "web");
}

TEST(Cluster, APodThatIsGoneKeepsItsNameForTheGrace) {
  Cluster cluster;
  cluster.apply({.pods = {pod("web", "10.0.1.10")}}, kStart);
  cluster.apply({.removed_pods = {pod("web", "10.0.1.10").ref}}, kStart + 10s);
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 9s), "web");
  cluster.apply({.pods = {pod("other", "10.0.1.99")}}, kStart + 10s + Cluster::kGrace);
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 9s), "web");
  cluster.apply({.pods = {pod("other", "10.0.1.98")}}, kStart + 11s + Cluster::kGrace);
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 9s), "");
}

TEST(Cluster, AReusedAddressIsJudgedByTheTimeOfTheSyn) {
  Cluster cluster;
  cluster.apply({.pods = {pod("old", "10.0.1.10")}}, kStart);
  cluster.apply({.removed_pods = {pod("old", "10.0.1.10").ref}}, kStart + 10s);
  cluster.apply({.pods = {pod("new", "10.0.1.10")}}, kStart + 20s);
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 5s), "old");
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 15s), "old");
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 20s), "new");
}

TEST(Cluster, ThePodThatWaitedForAnAddressIsNotNamedForItsFormerHolder) {
  Cluster cluster;
  Pod waiting = pod("waiting", "10.0.1.10");
  waiting.addresses.clear();
  cluster.apply({.pods = {pod("old", "10.0.1.10"), waiting}}, kStart);
  cluster.apply({.removed_pods = {pod("old", "10.0.1.10").ref}}, kStart + 10s);
  cluster.apply({.pods = {pod("waiting", "10.0.1.10")}}, kStart + 20s);
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 5s), "old");
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 20s), "waiting");
}

TEST(Cluster, APodLongGoneIsNotNamedThoughNothingChangedSince) {
  Cluster cluster;
  cluster.apply({.pods = {pod("web", "10.0.1.10")}}, kStart);
  cluster.apply({.removed_pods = {pod("web", "10.0.1.10").ref}}, kStart + 10s);
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 10s + Cluster::kGrace), "web");
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 11s + Cluster::kGrace), "");
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 9s), "web") << "whose SYN it was does not change";
}

TEST(Cluster, AnAddressIsGivenBackOnce) {
  Cluster cluster;
  Pod job = pod("job", "10.0.1.10");
  cluster.apply({.pods = {job}}, kStart);
  job.finished = true;
  cluster.apply({.pods = {job}}, kStart + 10s);
  cluster.apply({.removed_pods = {job.ref}}, kStart + 50s);
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 15s + Cluster::kGrace), "");
}

TEST(Cluster, ASynMayComeBeforeItsPodIsTold) {
  Cluster cluster;
  cluster.apply({.pods = {pod("first", "10.0.1.10")}}, kStart);
  cluster.apply({.pods = {pod("late", "10.0.1.11")}}, kStart + 20s);
  EXPECT_EQ(name_at(cluster, "10.0.1.11", kStart + 19s), "late");
}

TEST(Cluster, ARestartedStatefulPodIsAnotherPod) {
  Cluster cluster;
  cluster.apply({.pods = {pod("db-0", "10.0.1.10", "a")}}, kStart);
  cluster.apply({.pods = {pod("db-0", "10.0.1.11", "b")}}, kStart + 10s);
  EXPECT_EQ(name_at(cluster, "10.0.1.11", kStart + 10s), "db-0");
  cluster.apply({.pods = {pod("web", "10.0.1.10")}}, kStart + 20s);
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 21s), "web");
}

TEST(Cluster, AFinishedPodGivesItsAddressBack) {
  Cluster cluster;
  cluster.apply({.pods = {pod("job", "10.0.1.10")}}, kStart);
  Pod finished = pod("job", "10.0.1.10");
  finished.finished = true;
  cluster.apply({.pods = {finished}}, kStart + 10s);
  cluster.apply({.pods = {pod("web", "10.0.1.10")}}, kStart + 20s);
  EXPECT_EQ(name_at(cluster, "10.0.1.10", kStart + 21s), "web");
}

TEST(Cluster, HostNetworkPodsAreFoundByTheNodesAddressAndTheirPort) {
  Cluster cluster;
  Pod proxy = pod("proxy", "10.0.0.4");
  proxy.host_network = true;
  proxy.tcp_ports = {8443};
  cluster.apply(
      {.pods = {proxy}, .node = Node{.addresses = {*IpAddress::parse("10.0.0.4")}, .zone = "", .provider_id = ""}},
      kStart);
  EXPECT_EQ(name_at(cluster, "10.0.0.4", kStart, 8443), "proxy");
  EXPECT_EQ(name_at(cluster, "10.0.0.4", kStart, 9999), "");
}

TEST(Cluster, LoadBalancersByAddressAndByName) {
  Cluster cluster;
  cluster.apply({.services = {service("api", "", "10.0.5.5"), service("web", "lb.example.com")}}, kStart);
  EXPECT_THAT(cluster.take_watch_changes().new_hostnames, ElementsAre("lb.example.com"));
  EXPECT_THAT(cluster.frontends(), ElementsAre(Frontend{.address = *IpAddress::parse("10.0.5.5"), .port = 443}))
      << "UDP ports are no business of ours";
  cluster.set_resolution("lb.example.com", {*IpAddress::parse("10.0.5.6")});
  EXPECT_EQ(cluster.frontends().size(), 2);
  EXPECT_EQ(cluster.load_balancer_at(endpoint("10.0.5.6", 443)),
            (LoadBalancerRef{.namespace_name = "shop", .service = "web", .hostname = "lb.example.com"}));
  EXPECT_EQ(cluster.load_balancer_at(endpoint("10.0.5.5", 443))->hostname, "");
  EXPECT_EQ(cluster.load_balancer_at(endpoint("10.0.5.5", 80)), std::nullopt);
}

TEST(Cluster, AResolutionIsForgottenWithTheLastServiceOfItsName) {
  Cluster cluster;
  const std::set resolved{*IpAddress::parse("10.0.5.6")};
  cluster.set_resolution("lb.example.com", resolved);
  cluster.apply({.services = {service("web", "lb.example.com"), service("api", "lb.example.com")}}, kStart);
  EXPECT_THAT(cluster.frontends(), IsEmpty()) << "told before anybody asked";
  cluster.set_resolution("lb.example.com", resolved);
  EXPECT_EQ(cluster.frontends().size(), 1);

  Service changed = service("web", "lb.example.com");
  changed.annotations = {{"a", "b"}};
  cluster.apply({.services = {changed}, .removed_services = {"shop/api"}}, kStart);
  EXPECT_EQ(cluster.frontends().size(), 1) << "a Service that changes keeps its addresses";
  cluster.apply({.removed_services = {"shop/web"}}, kStart);
  EXPECT_THAT(cluster.frontends(), IsEmpty());
  cluster.apply({.services = {service("web", "lb.example.com")}}, kStart);
  EXPECT_THAT(cluster.frontends(), IsEmpty()) << "what DNS said back then says nothing now";
}

TEST(Cluster, AServiceThatChangesOrGoesLeavesNothingBehind) {
  Cluster cluster;
  cluster.apply({.services = {service("web", "lb.example.com")}}, kStart);
  cluster.set_resolution("lb.example.com", {*IpAddress::parse("10.0.5.6")});
  ASSERT_EQ(cluster.frontends().size(), 1);
  Service changed = service("web", "", "10.0.5.7");
  changed.ports[0].node_port = 31000;
  cluster.apply({.services = {changed}}, kStart);
  EXPECT_THAT(cluster.frontends(), ElementsAre(Frontend{.address = *IpAddress::parse("10.0.5.7"), .port = 443}));
  EXPECT_THAT(cluster.take_watch_changes().new_hostnames, IsEmpty());
  EXPECT_EQ(cluster.service_with_node_port(30443), nullptr);
  EXPECT_EQ(cluster.service_with_node_port(31000)->name, "web");
  cluster.apply({.removed_services = {"shop/web"}}, kStart);
  EXPECT_THAT(cluster.frontends(), IsEmpty());
  EXPECT_EQ(cluster.service("shop/web"), nullptr);
  EXPECT_EQ(cluster.service_with_node_port(31000), nullptr);
}

TEST(Cluster, TellsWhatIsToBeWatchedOtherwise) {
  const auto frontend = [](const char* address) {
    return Frontend{.address = *IpAddress::parse(address), .port = 443};
  };
  Cluster cluster;
  cluster.apply({.services = {service("api", "", "10.0.5.5"), service("web", "lb.example.com")}}, kStart);
  WatchChanges changes = cluster.take_watch_changes();
  EXPECT_THAT(changes.added, ElementsAre(frontend("10.0.5.5")));
  EXPECT_THAT(changes.removed, IsEmpty());
  EXPECT_THAT(changes.new_hostnames, ElementsAre("lb.example.com"));
  cluster.set_resolution("lb.example.com", {*IpAddress::parse("10.0.5.6")});
  EXPECT_THAT(cluster.take_watch_changes().added, ElementsAre(frontend("10.0.5.6")));

  Service annotated = service("web", "lb.example.com");
  annotated.annotations = {{"a", "b"}};
  cluster.apply({.services = {annotated}}, kStart);
  changes = cluster.take_watch_changes();
  EXPECT_THAT(changes.added, IsEmpty());
  EXPECT_THAT(changes.removed, IsEmpty());
  EXPECT_THAT(changes.new_hostnames, IsEmpty());
  EXPECT_EQ(cluster.service("shop/web")->annotations, annotated.annotations);

  // One of two Services goes from an address; then it moves.
  cluster.apply({.services = {service("second", "", "10.0.5.5")}}, kStart);
  cluster.apply({.removed_services = {"shop/second"}}, kStart);
  EXPECT_THAT(cluster.take_watch_changes().removed, IsEmpty());
  cluster.apply({.services = {service("api", "", "10.0.5.7")}}, kStart);
  changes = cluster.take_watch_changes();
  EXPECT_THAT(changes.added, ElementsAre(frontend("10.0.5.7")));
  EXPECT_THAT(changes.removed, ::testing::Contains(frontend("10.0.5.5")));

  cluster.set_resolution("lb.example.com", {*IpAddress::parse("10.0.5.8")});
  changes = cluster.take_watch_changes();
  EXPECT_THAT(changes.added, ElementsAre(frontend("10.0.5.8")));
  EXPECT_THAT(changes.removed, ElementsAre(frontend("10.0.5.6")));
  cluster.apply({.removed_services = {"shop/web"}}, kStart);
  changes = cluster.take_watch_changes();
  EXPECT_THAT(changes.removed, ElementsAre(frontend("10.0.5.8")));
  EXPECT_THAT(changes.old_hostnames, ElementsAre("lb.example.com"));
}

Service created(Service service, int second) {
  service.created = std::chrono::sys_seconds(std::chrono::seconds(second));
  return service;
}

TEST(Cluster, OfTwoServicesWithOneAddressTheOlderIsNamedAndTheOtherToo) {
  Cluster cluster;
  const Endpoint shared = endpoint("10.0.5.5", 443);
  cluster.apply({.services = {created(service("api", "", "10.0.5.5"), 100)}}, kStart);
  EXPECT_THAT(cluster.rivals_at(shared), IsEmpty());
  // First by name, and later.
  cluster.apply({.services = {created(service("aaa", "", "10.0.5.5"), 200)}}, kStart);
  EXPECT_EQ(cluster.load_balancer_at(shared)->service, "api");
  EXPECT_THAT(cluster.rivals_at(shared), ElementsAre("shop/aaa"));
  // Told of in the other order, by name as well as by address.
  Service both = created(service("old", "lb.example.com"), 50);
  both.ingress.push_back({.ip = "10.0.5.5", .hostname = "", .ip_mode = ""});
  cluster.apply({.services = {both}}, kStart);
  cluster.set_resolution("lb.example.com", {*IpAddress::parse("10.0.5.5")});
  EXPECT_EQ(cluster.load_balancer_at(shared)->service, "old");
  EXPECT_THAT(cluster.rivals_at(shared), ElementsAre("shop/api", "shop/aaa"));
  cluster.apply({.removed_services = {"shop/old", "shop/api"}}, kStart);
  EXPECT_EQ(cluster.load_balancer_at(shared)->service, "aaa");
  EXPECT_THAT(cluster.rivals_at(shared), IsEmpty());
  // Made anew under its old name: not the oldest any more.
  cluster.apply({.services = {created(service("api", "", "10.0.5.5"), 300)}}, kStart);
  EXPECT_EQ(cluster.load_balancer_at(shared)->service, "aaa");
  cluster.apply({.services = {created(service("aaa", "", "10.0.5.5"), 400)}}, kStart);
  EXPECT_EQ(cluster.load_balancer_at(shared)->service, "api");
}

TEST(Cluster, AGatewayPublishesAsAServiceDoesButComesAfterOne) {
  Cluster cluster;
  Service gateway = created(service("web", "lb.example.com", "10.0.5.5"), 1);
  gateway.kind = "Gateway";
  gateway.selector = {};
  const Endpoint shared = endpoint("10.0.5.5", 443);
  cluster.apply({.services = {gateway}}, kStart);
  const WatchChanges changes = cluster.take_watch_changes();
  EXPECT_THAT(changes.added, ElementsAre(Frontend{.address = shared.address, .port = 443}));
  EXPECT_THAT(changes.new_hostnames, ElementsAre("lb.example.com"));
  EXPECT_EQ(cluster.load_balancer_at(shared)->full_name(), "Gateway shop/web");
  EXPECT_EQ(cluster.publisher_at(shared), nullptr);
  // Younger, and of the same name: what a Gateway's controller makes for it.
  cluster.apply({.services = {created(service("web", "", "10.0.5.5"), 100)}}, kStart);
  EXPECT_EQ(cluster.load_balancer_at(shared)->full_name(), "shop/web");
  EXPECT_EQ(cluster.publisher_at(shared), cluster.service("shop/web"));
  EXPECT_THAT(cluster.rivals_at(shared), IsEmpty()) << "no rival is who made it";
  cluster.apply({.removed_services = {"shop/web"}}, kStart);
  EXPECT_EQ(cluster.load_balancer_at(shared)->full_name(), "Gateway shop/web");
  cluster.apply({.removed_services = {"Gateway shop/web"}}, kStart);
  EXPECT_FALSE(cluster.load_balancer_at(shared));
}

TEST(Cluster, WhatWasFoundCountsWhereNothingPublishes) {
  Cluster cluster;
  const Endpoint unknown = endpoint("10.0.5.5", 443);
  cluster.set_found(unknown, LoadBalancerRef{.namespace_name = "shop", .service = "api", .binding = "terraform"});
  EXPECT_EQ(cluster.load_balancer_at(unknown)->binding, "terraform");
  EXPECT_EQ(cluster.load_balancer_at(endpoint("10.0.5.5", 80)), std::nullopt);
  EXPECT_FALSE(cluster.is_published(unknown));
  EXPECT_EQ(cluster.publisher_at(unknown), nullptr) << "its own settings say nothing of this load balancer";
  cluster.apply({.services = {service("web", "", "10.0.5.5")}}, kStart);
  EXPECT_EQ(cluster.load_balancer_at(unknown)->full_name(), "shop/web");
  EXPECT_TRUE(cluster.is_published(unknown));
  cluster.apply({.removed_services = {"shop/web"}}, kStart);
  EXPECT_EQ(cluster.load_balancer_at(unknown)->full_name(), "shop/api");
  cluster.set_found(unknown, std::nullopt);
  EXPECT_EQ(cluster.load_balancer_at(unknown), std::nullopt);
  for (std::uint16_t port = 1; port < 2000; port++) {
    cluster.set_found(endpoint("10.0.5.6", port), LoadBalancerRef{.namespace_name = "shop", .service = "api"});
  }
  EXPECT_EQ(cluster.load_balancer_at(endpoint("10.0.5.6", 1999)), std::nullopt) << "bounded";
}

TEST(Cluster, LocalBackendsAreReadyPodsOfTheService) {
  Cluster cluster;
  const Service api = service("api", "", "10.0.5.5");
  cluster.apply({.pods = {pod("web", "10.0.1.10"), pod("api", "10.0.1.20")}, .services = {api}}, kStart);
  EXPECT_THAT(cluster.local_backends(api), ElementsAre(pod("api", "10.0.1.20").ref));
  Pod starting = pod("api", "10.0.1.20");
  starting.ready = false;
  cluster.apply({.pods = {starting}}, kStart);
  EXPECT_TRUE(cluster.local_backends(api).empty());
}

}  // namespace
}  // namespace hairpind
