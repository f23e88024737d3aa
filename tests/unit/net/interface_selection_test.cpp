// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hairpind/net/interface_selection.hpp"

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

NetworkInterface interface(std::uint32_t ifindex, const std::string& name) {
  NetworkInterface result;
  result.ifindex = ifindex;
  result.name = name;
  return result;
}

NetworkView node() {
  NetworkView view;
  auto loopback = interface(1, "lo");
  loopback.loopback = true;
  auto uplink = interface(2, "eth0");
  uplink.has_default_route = true;
  auto pod = interface(3, "eni3f");
  pod.kind = "veth";
  pod.peer_in_other_namespace = true;
  auto netkit = interface(4, "lxc4");
  netkit.kind = "netkit";
  netkit.peer_in_other_namespace = true;
  auto local_pair = interface(5, "veth5");
  local_pair.kind = "veth";
  auto tunnel = interface(6, "wg6");
  tunnel.kind = "wireguard";
  tunnel.peer_in_other_namespace = true;
  for (const auto& each : {loopback, uplink, pod, netkit, local_pair, tunnel}) {
    view.interfaces.emplace(each.ifindex, each);
  }
  return view;
}

TEST(SelectInterfaces, FindsUplinksAndPodsByThemselves) {
  EXPECT_THAT(select_interfaces(node(), {}),
              ElementsAre(Pair(2, InterfaceRole::kUplink), Pair(3, InterfaceRole::kPod), Pair(4, InterfaceRole::kPod)));
}

TEST(SelectInterfaces, GlobsReplaceDiscoveryOfTheirOwnRoleOnly) {
  EXPECT_THAT(select_interfaces(node(), {.pod_globs = {"veth*", "wg?"}, .uplink_globs = {}}),
              ElementsAre(Pair(2, InterfaceRole::kUplink), Pair(5, InterfaceRole::kPod), Pair(6, InterfaceRole::kPod)));
  EXPECT_THAT(select_interfaces(node(), {.pod_globs = {}, .uplink_globs = {"wg6"}}),
              ElementsAre(Pair(3, InterfaceRole::kPod), Pair(4, InterfaceRole::kPod), Pair(6, InterfaceRole::kUplink)));
}

TEST(SelectInterfaces, AnUplinkThatLooksLikeAPodIsAnUplink) {
  // kind: the node is a container, its uplink a veth.
  NetworkView view = node();
  view.interfaces[2].kind = "veth";
  view.interfaces[2].peer_in_other_namespace = true;
  EXPECT_EQ(select_interfaces(view, {}).at(2), InterfaceRole::kUplink);
}

TEST(SelectInterfaces, OfABridgeThatIsTheUplinkItsPortsToTheNetworkAre) {
  NetworkView view = node();
  view.interfaces[2].kind = "bridge";
  view.interfaces[3].master_ifindex = 2;
  EXPECT_EQ(select_interfaces(view, {}).at(2), InterfaceRole::kUplink) << "without one, the bridge itself";
  view.interfaces[7] = interface(7, "ens7");
  view.interfaces[7].master_ifindex = 2;
  EXPECT_THAT(select_interfaces(view, {}),
              ElementsAre(Pair(3, InterfaceRole::kPod), Pair(4, InterfaceRole::kPod), Pair(7, InterfaceRole::kUplink)));
  EXPECT_EQ(select_interfaces(view, {.pod_globs = {}, .uplink_globs = {"eth0"}}).at(2), InterfaceRole::kUplink);
  view.interfaces[2].kind = "bond";
  EXPECT_EQ(select_interfaces(view, {}).at(2), InterfaceRole::kUplink) << "all passes a bond itself";
  EXPECT_THAT(select_interfaces(view, {}), ::testing::Not(::testing::Contains(::testing::Key(7))));
}

TEST(SelectInterfaces, APodThatAnnouncesItselfAsRouterIsNoUplink) {
  NetworkView view = node();
  for (const std::uint32_t pod : {3U, 4U}) {
    view.interfaces[pod].has_default_route = true;
    view.interfaces[pod].default_route_announced = true;
  }
  EXPECT_THAT(select_interfaces(view, {}),
              ElementsAre(Pair(2, InterfaceRole::kUplink), Pair(3, InterfaceRole::kPod), Pair(4, InterfaceRole::kPod)));
  EXPECT_EQ(select_interfaces(view, {.pod_globs = {"eni*"}, .uplink_globs = {}}).at(3), InterfaceRole::kPod);
  view.interfaces[2].default_route_announced = true;
  EXPECT_EQ(select_interfaces(view, {}).at(2), InterfaceRole::kUplink) << "a NIC's router is the network's";
  EXPECT_EQ(select_interfaces(view, {}).at(3), InterfaceRole::kPod);
  view.interfaces[3].default_route_announced = false;
  EXPECT_EQ(select_interfaces(view, {}).at(3), InterfaceRole::kUplink) << "the node's own administrator said so";
}

TEST(SelectInterfaces, ANodeInAContainerMayHaveNoOtherRouterThanTheAnnouncedOne) {
  NetworkView view = node();
  view.interfaces[2].kind = "veth";
  view.interfaces[2].peer_in_other_namespace = true;
  view.interfaces[2].default_route_announced = true;
  EXPECT_EQ(select_interfaces(view, {}).at(2), InterfaceRole::kUplink);
}

TEST(SelectInterfaces, NeverLoopback) {
  EXPECT_THAT(select_interfaces(node(), {.pod_globs = {"*"}, .uplink_globs = {"*"}}),
              ::testing::Not(::testing::Contains(::testing::Key(1))));
}

TEST(UnmatchedGlobs, NamesThoseWithoutADevice) {
  EXPECT_THAT(unmatched_globs(node(), {.pod_globs = {"veth*", "cali*"}, .uplink_globs = {"bond0"}}),
              ElementsAre("cali*", "bond0"));
  EXPECT_THAT(unmatched_globs(node(), {}), IsEmpty());
}

}  // namespace
}  // namespace hairpind
