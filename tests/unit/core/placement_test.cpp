// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/placement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::ip_target_attempt;

constexpr SinceBoot kNow = 1000h;
const Endpoint kLb = testing::endpoint("10.0.5.5", 443);

Pod pod(const std::string& name, const std::string& app, const std::string& address) {
  Pod result;
  result.uid = name;
  result.ref = {.namespace_name = "shop", .name = name, .workload = "Deployment/" + app};
  result.ready = true;
  result.labels = {{"app", app}};
  result.addresses = {*IpAddress::parse(address)};
  return result;
}

Service service(const std::string& policy = "Local") {
  Service result;
  result.namespace_name = "shop";
  result.name = "api";
  result.type = "LoadBalancer";
  result.external_traffic_policy = policy;
  result.ports = {{.name = "", .protocol = "TCP", .port = 443, .node_port = 30443}};
  result.ingress = {{.ip = "10.0.5.5", .hostname = "", .ip_mode = ""}};
  result.selector = {{"app", "api"}};
  return result;
}

IncidentCount incident(const Attempt& example) {
  return {.key = IncidentKey::of(example), .count = 1, .last_event = kNow, .example = example};
}

class PlacementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster.apply(
        {.pods = {pod("web-1", "web", "10.0.1.10"), pod("api-1", "api", "10.0.1.20")}, .services = {service()}}, 0s);
  }
  void in_kubernetes() {
    node.cluster = &cluster;
    node.synced = true;
  }
  void add(const Attempt& example = ip_target_attempt()) { placement.add(incident(example), node); }
  Presence target() {
    placement.look(kLb, node);
    return placement.target();
  }
  Presence clients() {
    placement.look(kLb, node);
    return placement.clients();
  }
  void apply(const ClusterChanges& changes) { cluster.apply(changes, kNow); }

  Cluster cluster;
  std::set<std::uint32_t> devices{1, 2};
  NodeView node{.has_device = [this](std::uint32_t ifindex) { return devices.contains(ifindex); }};
  Placement placement;
};

TEST_F(PlacementTest, NobodyIsKnownToBeGoneBeforeAnythingFailed) {
  EXPECT_EQ(target(), Presence::kUnknown);
  EXPECT_EQ(clients(), Presence::kUnknown);
}

TEST_F(PlacementTest, WithoutTheApiPodsGoWithTheirDevices) {
  add();
  EXPECT_EQ(target(), Presence::kHere);
  EXPECT_EQ(clients(), Presence::kHere);
  devices = {1};
  EXPECT_EQ(target(), Presence::kGone);
  EXPECT_EQ(clients(), Presence::kHere);
  EXPECT_THAT(placement.target_names(), ElementsAre("10.0.1.20"));
  devices = {2};
  EXPECT_EQ(target(), Presence::kHere);
  EXPECT_EQ(clients(), Presence::kGone);
}

TEST_F(PlacementTest, APodThatIsItsOwnTargetGoesWithItsDevice) {
  Attempt own = ip_target_attempt();
  own.synack_sent.address = own.client.address;
  own.synack_ifindex = own.syn_ifindex;
  add(own);
  EXPECT_EQ(target(), Presence::kHere);
  devices = {2};
  EXPECT_EQ(target(), Presence::kGone);
}

TEST_F(PlacementTest, TheClientsDeviceSaysNothingOfAnotherPod) {
  Attempt seen_late = ip_target_attempt();
  seen_late.synack_ifindex = seen_late.syn_ifindex;
  add(seen_late);
  EXPECT_EQ(target(), Presence::kUnknown);
}

TEST_F(PlacementTest, WhoseDeviceWasNotSeenIsNotKnown) {
  Attempt martian = ip_target_attempt();
  martian.synack_sent = martian.responder = martian.synack_delivered = {};
  martian.cause = Cause::kHairpinRpFilter;
  add(martian);
  devices = {};
  EXPECT_EQ(target(), Presence::kUnknown);
  EXPECT_THAT(placement.target_names(), ElementsAre("10.0.1.20")) << "where the SYN came back to";
  Attempt host = ip_target_attempt();
  host.responder_kind = ResponderKind::kNode;
  host.cause = Cause::kHairpinHostTarget;
  Placement other;
  other.add(incident(host), node);
  other.look(kLb, node);
  EXPECT_EQ(other.target(), Presence::kUnknown);
}

TEST_F(PlacementTest, ATargetOnAnotherNodeIsNotKnown) {
  in_kubernetes();
  Attempt remote = ip_target_attempt();
  remote.cause = Cause::kAsymmetricRemote;
  add(remote);
  apply({.removed_pods = {{"shop", "api-1", ""}}});
  EXPECT_EQ(target(), Presence::kUnknown);
}

TEST_F(PlacementTest, InTheClusterTargetsAreTheServicesReadyPods) {
  in_kubernetes();
  add();
  EXPECT_EQ(target(), Presence::kHere);
  Pod starting = pod("api-2", "api", "10.0.1.21");
  starting.ready = false;
  apply({.pods = {starting}, .removed_pods = {{"shop", "api-1", ""}}});
  EXPECT_EQ(target(), Presence::kUnknown) << "one that is starting is neither";
  apply({.removed_pods = {{"shop", "api-2", ""}}});
  EXPECT_EQ(target(), Presence::kGone);
  EXPECT_THAT(placement.target_names(), ElementsAre("shop/api-1")) << "who was here last";
  apply({.pods = {pod("api-3", "api", "10.0.1.22")}});
  EXPECT_EQ(target(), Presence::kHere);
  EXPECT_THAT(placement.target_names(), ElementsAre("shop/api-3"));
}

TEST_F(PlacementTest, WhoIsBehindAServiceWithoutSelectorIsNotKnown) {
  in_kubernetes();
  add();
  Service by_hand = service();
  by_hand.selector.clear();
  apply({.services = {by_hand}});
  EXPECT_EQ(target(), Presence::kUnknown);
}

TEST_F(PlacementTest, AClientsSuccessorIsAClient) {
  in_kubernetes();
  add();
  EXPECT_EQ(clients(), Presence::kHere);
  apply({.pods = {pod("web-2", "web", "10.0.1.11")}, .removed_pods = {{"shop", "web-1", ""}}});
  EXPECT_EQ(clients(), Presence::kHere);
  apply({.removed_pods = {{"shop", "web-2", ""}}});
  EXPECT_EQ(clients(), Presence::kGone);
  EXPECT_THAT(placement.client_names(), ElementsAre("shop/web-1"));
}

TEST_F(PlacementTest, ANameOnceKnownIsKept) {
  in_kubernetes();
  add();
  node.cluster = nullptr;
  add();
  EXPECT_THAT(placement.client_names(), ElementsAre("shop/web-1"));
}

TEST_F(PlacementTest, AViewThatIsOutOfStepTellsNothing) {
  in_kubernetes();
  add();
  apply({.removed_pods = {{"shop", "api-1", ""}, {"shop", "web-1", ""}}});
  node.synced = false;
  EXPECT_EQ(target(), Presence::kUnknown);
  EXPECT_EQ(clients(), Presence::kUnknown);
}

TEST_F(PlacementTest, ANodeThatForwardsIsATargetItself) {
  in_kubernetes();
  Attempt node_port = ip_target_attempt();
  node_port.cause = Cause::kHairpinNodePort;
  add(node_port);
  apply({.removed_pods = {{"shop", "api-1", ""}}});
  EXPECT_EQ(target(), Presence::kGone) << "externalTrafficPolicy Local";
  apply({.services = {service("Cluster")}});
  EXPECT_EQ(target(), Presence::kHere);
  add();
  EXPECT_EQ(target(), Presence::kHere) << "whatever fails beside it";
  placement = {};
  add();
  EXPECT_EQ(target(), Presence::kGone) << "the load balancer's targets are pods";
}

TEST_F(PlacementTest, TheNodeAsClientStays) {
  Attempt host = ip_target_attempt();
  host.host_client = true;
  add(host);
  devices = {};
  EXPECT_EQ(clients(), Presence::kHere);
}

TEST_F(PlacementTest, MoreClientsThanAreFollowedAreNeverAllGone) {
  for (std::size_t i = 0; i <= Placement::kFollowed; i++) {
    devices = {};
    Attempt attempt = ip_target_attempt();
    attempt.client.address = *IpAddress::parse("10.0.2." + std::to_string(i));
    add(attempt);
    EXPECT_EQ(clients(), i < Placement::kFollowed ? Presence::kGone : Presence::kUnknown) << i;
  }
}

}  // namespace
}  // namespace hairpind
