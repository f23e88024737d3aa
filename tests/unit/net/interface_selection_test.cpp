// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

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

std::map<std::uint32_t, InterfaceRole> roles_of(const NetworkView& view, const InterfaceSelection& selection,
                                                const InterfaceHints& hints = {}) {
  std::map<std::uint32_t, InterfaceRole> roles;
  for (const auto& [ifindex, chosen] : hairpind::select_interfaces(view, selection, hints)) {
    roles.emplace(ifindex, chosen.role);
  }
  return roles;
}

TEST(SelectInterfaces, FindsUplinksAndPodsByThemselves) {
  EXPECT_THAT(roles_of(node(), {}),
              ElementsAre(Pair(2, InterfaceRole::kUplink), Pair(3, InterfaceRole::kPod), Pair(4, InterfaceRole::kPod)));
}

TEST(SelectInterfaces, GlobsReplaceDiscoveryOfTheirOwnRoleOnly) {
  EXPECT_THAT(roles_of(node(), {.pod_globs = {"veth*", "wg?"}, .uplink_globs = {}}),
              ElementsAre(Pair(2, InterfaceRole::kUplink), Pair(5, InterfaceRole::kPod), Pair(6, InterfaceRole::kPod)));
  EXPECT_THAT(roles_of(node(), {.pod_globs = {}, .uplink_globs = {"wg6"}}),
              ElementsAre(Pair(3, InterfaceRole::kPod), Pair(4, InterfaceRole::kPod), Pair(6, InterfaceRole::kUplink)));
}

TEST(SelectInterfaces, AnUplinkThatLooksLikeAPodIsAnUplink) {
  // kind: the node is a container, its uplink a veth.
  NetworkView view = node();
  view.interfaces[2].kind = "veth";
  view.interfaces[2].peer_in_other_namespace = true;
  EXPECT_EQ(roles_of(view, {}).at(2), InterfaceRole::kUplink);
}

TEST(SelectInterfaces, OfABridgeThatIsTheUplinkItsPortsToTheNetworkAre) {
  NetworkView view = node();
  view.interfaces[2].kind = "bridge";
  view.interfaces[3].master_ifindex = 2;
  EXPECT_EQ(roles_of(view, {}).at(2), InterfaceRole::kUplink) << "without one, the bridge itself";
  view.interfaces[7] = interface(7, "ens7");
  view.interfaces[7].master_ifindex = 2;
  EXPECT_THAT(roles_of(view, {}),
              ElementsAre(Pair(3, InterfaceRole::kPod), Pair(4, InterfaceRole::kPod), Pair(7, InterfaceRole::kUplink)));
  EXPECT_EQ(roles_of(view, {.pod_globs = {}, .uplink_globs = {"eth0"}}).at(2), InterfaceRole::kUplink);
  view.interfaces[2].kind = "bond";
  EXPECT_EQ(roles_of(view, {}).at(2), InterfaceRole::kUplink) << "all passes a bond itself";
  EXPECT_THAT(roles_of(view, {}), ::testing::Not(::testing::Contains(::testing::Key(7))));
}

TEST(SelectInterfaces, APodThatAnnouncesItselfAsRouterIsNoUplink) {
  NetworkView view = node();
  for (const std::uint32_t pod : {3U, 4U}) {
    view.interfaces[pod].has_default_route = true;
    view.interfaces[pod].default_route_announced = true;
  }
  EXPECT_THAT(roles_of(view, {}),
              ElementsAre(Pair(2, InterfaceRole::kUplink), Pair(3, InterfaceRole::kPod), Pair(4, InterfaceRole::kPod)));
  EXPECT_EQ(roles_of(view, {.pod_globs = {"eni*"}, .uplink_globs = {}}).at(3), InterfaceRole::kPod);
  view.interfaces[2].default_route_announced = true;
  EXPECT_EQ(roles_of(view, {}).at(2), InterfaceRole::kUplink) << "a NIC's router is the network's";
  EXPECT_EQ(roles_of(view, {}).at(3), InterfaceRole::kPod);
  view.interfaces[3].default_route_announced = false;
  EXPECT_EQ(roles_of(view, {}).at(3), InterfaceRole::kPod) << "a pod's egress is a pod's, whoever said so";
}

// --- what is an uplink, and why: families of nodes --------------------------------------------------------------

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

NetworkInterface card(std::uint32_t ifindex, const std::string& name, std::uint32_t master = 0) {
  NetworkInterface result = interface(ifindex, name);
  result.up = true;
  result.master_ifindex = master;
  return result;
}

NetworkInterface of_kind(const char* kind, std::uint32_t ifindex, const std::string& name, std::uint32_t master = 0) {
  NetworkInterface result = card(ifindex, name, master);
  result.kind = kind;
  return result;
}

NetworkInterface elsewhere(std::uint32_t ifindex, const std::string& name, std::uint32_t master = 0) {
  NetworkInterface result = of_kind("veth", ifindex, name, master);
  result.peer_in_other_namespace = true;
  result.peer_namespace = static_cast<int>(ifindex);
  return result;
}

NetworkInterface with_default(NetworkInterface interface, bool first = true) {
  interface.has_default_route = true;
  interface.default_route_first = first;
  return interface;
}

NetworkInterface with_subnet(NetworkInterface interface) {
  interface.on_subnet = true;
  return interface;
}

struct Node {
  const char* what;
  std::vector<NetworkInterface> interfaces;
  std::vector<HostRoute> host_routes;
  std::vector<std::uint32_t> to_load_balancer;
  std::vector<std::string> uplinks;  ///< all else that is watched is a pod's
  std::vector<std::string> pods;
  std::set<IpAddress> gateways{};        // NOLINT(readability-redundant-member-init): as in cluster.hpp
  std::vector<std::string> pod_globs{};  // NOLINT(readability-redundant-member-init)
  std::set<IpAddress> named_pods{};      // NOLINT(readability-redundant-member-init)
};

const std::vector<Node>& nodes() {
  static const std::vector<Node> table{
      {"two cards, the default route by one",
       {with_default(card(2, "eth0")), card(3, "eth1"), elsewhere(4, "veth4")},
       {},
       {},
       {"eth0", "eth1"},
       {"veth4"}},
      {"no default route at all", {card(2, "eth0"), elsewhere(4, "veth4")}, {}, {}, {"eth0"}, {"veth4"}},
      {"a card that is down leads nowhere",
       {with_default(card(2, "eth0")), interface(3, "eth1")},
       {},
       {},
       {"eth0"},
       {}},
      {"the default route by a dummy",
       {card(2, "eth0"), with_default(of_kind("dummy", 3, "dummy0"))},
       {},
       {},
       {"eth0", "dummy0"},
       {}},
      {"a card under a switch's own port (OVN)",
       {card(2, "eth0", 3), of_kind("openvswitch", 3, "ovs-system"), with_default(of_kind("openvswitch", 4, "br-ex")),
        elsewhere(5, "veth5", 3)},
       {},
       {},
       {"eth0", "br-ex"},
       {"veth5"}},
      {"a card and pods under one bridge",
       {card(2, "eth0", 3), with_default(of_kind("bridge", 3, "azure0")), elsewhere(4, "veth4", 3)},
       {},
       {},
       {"eth0"},
       {"veth4"}},
      {"a bond under a bridge, VLAN on it",
       {card(2, "eth0", 4), card(3, "eth1", 4), of_kind("bond", 4, "bond0", 5), of_kind("bridge", 5, "br0"),
        with_default(of_kind("vlan", 6, "br0.7"))},
       {},
       {},
       {"bond0", "br0.7"},
       {}},
      {"a team", {card(2, "eth0", 3), with_default(of_kind("team", 3, "team0"))}, {}, {}, {"team0"}, {}},
      {"an accelerated card below a synthetic one",
       {with_default(card(2, "eth0")), card(3, "enP1", 2)},
       {},
       {},
       {"eth0"},
       {}},
      {"a card in a VRF", {card(2, "eth0", 3), of_kind("vrf", 3, "vrf3")}, {}, {}, {"eth0"}, {}},
      {"a tunnel that leads to the load balancer",
       {with_default(card(2, "eth0")), of_kind("wireguard", 3, "wg0")},
       {},
       {3},
       {"eth0", "wg0"},
       {}},
      {"a load balancer among bridged pods is no way in",
       {with_default(card(2, "eth0")), of_kind("bridge", 3, "cni0"), elsewhere(4, "veth4", 3)},
       {},
       {3},
       {"eth0"},
       {"veth4"}},
      {"a pod that the default route leads to (a VPN's)",
       {with_default(card(2, "eth0")), with_default(elsewhere(4, "veth4"))},
       {},
       {},
       {"eth0"},
       {"veth4"}},
      {"and one that leads to the load balancer",
       {with_default(card(2, "eth0")), elsewhere(4, "veth4")},
       {},
       {4},
       {"eth0"},
       {"veth4"}},
      // Nodes that are containers: their card looks like a pod's device.
      {"container: the main table's default route",
       {with_default(elsewhere(2, "eth0")), elsewhere(4, "veth4")},
       {},
       {},
       {"eth0"},
       {"veth4"}},
      {"container: a pod has another table's",
       {with_default(elsewhere(2, "eth0")), with_default(elsewhere(4, "veth4"), false)},
       {},
       {},
       {"eth0"},
       {"veth4"}},
      {"container: another table's is all there is",
       {with_default(elsewhere(2, "eth0"), false), elsewhere(4, "veth4")},
       {},
       {},
       {"eth0"},
       {"veth4"}},
      {"container: the main table's, for one family, to a pod that has an address routed to it",
       {with_default(elsewhere(2, "eth0")), with_default(elsewhere(4, "veth4"))},
       {{ip("10.0.1.4"), 4}},
       {},
       {"eth0"},
       {"veth4"}},
      {"container: the gateway has a route of its own",
       {with_default(elsewhere(2, "eth0")), elsewhere(4, "veth4")},
       {{ip("10.0.0.1"), 2}, {ip("10.0.1.4"), 4}},
       {},
       {"eth0"},
       {"veth4"},
       {ip("10.0.0.1")}},
      {"container: default route by a dummy, the load balancer by the card",
       {with_default(of_kind("tun", 2, "dummy0")), with_subnet(elsewhere(3, "ens3")), elsewhere(4, "veth4")},
       {{ip("10.0.1.4"), 4}},
       {3},
       {"dummy0", "ens3"},
       {"veth4"}},
      {"container: two cards, one of them leads to the load balancer",
       {with_default(elsewhere(2, "eth0")), with_subnet(elsewhere(3, "eth1")), elsewhere(4, "veth4")},
       {},
       {3},
       {"eth0", "eth1"},
       {"veth4"}},
      {"container: no way out but the node's own subnet",
       {with_subnet(elsewhere(2, "eth0")), elsewhere(4, "veth4")},
       {{ip("10.0.1.4"), 4}},
       {},
       {"eth0"},
       {"veth4"}},
      {"container: a pod with a default route, and no other",
       {with_subnet(elsewhere(2, "eth0")), with_default(elsewhere(4, "veth4"), false)},
       {{ip("10.0.1.4"), 4}},
       {},
       {"eth0"},
       {"veth4"}},
      {"container: a load balancer that is a pod's own address is no way out",
       {with_default(elsewhere(2, "eth0")), elsewhere(4, "veth4")},
       {{ip("10.0.1.4"), 4}},
       {4},
       {"eth0"},
       {"veth4"}},
      {"named pods' devices are no uplinks, whatever leads there",
       {with_default(elsewhere(2, "eth0"), false), with_default(elsewhere(4, "veth4"))},
       {{ip("10.0.1.4"), 4}},
       {},
       {"eth0"},
       {"veth4"},
       {ip("10.0.1.4")},
       {},
       {ip("10.0.1.4")}},
      {"a named pod's tap is a pod's",
       {with_default(card(2, "eth0")), of_kind("tun", 4, "tap4")},
       {{ip("10.0.1.4"), 4}},
       {},
       {"eth0"},
       {"tap4"},
       {},
       {},
       {ip("10.0.1.4")}},
      {"a card by which a named pod is reached (macvlan) is none",
       {with_default(card(2, "eth0"))},
       {{ip("10.0.1.4"), 2}},
       {},
       {"eth0"},
       {},
       {},
       {},
       {ip("10.0.1.4")}},
      {"pods asked for: what they leave out may be the way to a load balancer",
       {with_default(of_kind("tun", 2, "dummy0")), elsewhere(3, "ens3"), elsewhere(4, "veth4")},
       {},
       {3},
       {"dummy0", "ens3"},
       {"veth4"},
       {},
       {"veth*"}},
  };
  return table;
}

TEST(SelectInterfaces, FamiliesOfNodes) {
  for (const Node& node : nodes()) {
    NetworkView view;
    view.gateways = node.gateways;
    view.host_routes = {node.host_routes.begin(), node.host_routes.end()};
    for (const NetworkInterface& each : node.interfaces) {
      view.interfaces.emplace(each.ifindex, each);
    }
    InterfaceHints hints{.load_balancers = {}, .pods = node.named_pods};
    hints.load_balancers[ip("10.0.5.5")] = {node.to_load_balancer.begin(), node.to_load_balancer.end()};
    std::vector<std::string> uplinks;
    std::vector<std::string> pods;
    for (const auto& [ifindex, role] : roles_of(view, {.pod_globs = node.pod_globs, .uplink_globs = {}}, hints)) {
      (role == InterfaceRole::kPod ? pods : uplinks).push_back(view.interfaces.at(ifindex).name);
    }
    EXPECT_THAT(uplinks, ::testing::UnorderedElementsAreArray(node.uplinks)) << node.what;
    EXPECT_THAT(pods, ::testing::UnorderedElementsAreArray(node.pods)) << node.what;
  }
}

TEST(SelectInterfaces, SaysWhy) {
  NetworkView view = node();
  view.interfaces[7] = with_default(of_kind("dummy", 7, "dummy0"));
  view.interfaces[2].up = true;
  EXPECT_THAT(
      describe(hairpind::select_interfaces(view, {}), view),
      ElementsAre("pod interface eni3f, lxc4: its other end is in another network namespace",
                  "uplink eth0: a network card, or a bond or team of them", "uplink dummy0: it has a default route"));
}

TEST(SelectInterfaces, ANodeInAContainerMayHaveNoOtherRouterThanTheAnnouncedOne) {
  NetworkView view = node();
  view.interfaces[2].kind = "veth";
  view.interfaces[2].peer_in_other_namespace = true;
  view.interfaces[2].default_route_announced = true;
  EXPECT_EQ(roles_of(view, {}).at(2), InterfaceRole::kUplink);
}

TEST(SelectInterfaces, NeverLoopback) {
  EXPECT_THAT(roles_of(node(), {.pod_globs = {"*"}, .uplink_globs = {"*"}}),
              ::testing::Not(::testing::Contains(::testing::Key(1))));
}

TEST(UnmatchedGlobs, NamesThoseWithoutADevice) {
  EXPECT_THAT(unmatched_globs(node(), {.pod_globs = {"veth*", "cali*"}, .uplink_globs = {"bond0"}}),
              ElementsAre("cali*", "bond0"));
  EXPECT_THAT(unmatched_globs(node(), {}), IsEmpty());
}

}  // namespace
}  // namespace hairpind
