// SPDX-License-Identifier: Apache-2.0
// Every shape of traffic over every datapath, IPv4 and IPv6: real servers, real sockets, the real agent, one right
// verdict a cell. The verdicts found are the matrix in docs/verdict-matrix.md. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent_process.hpp"
#include "kernel.hpp"
#include "lab_test.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;

// --- where: datapath and family ----------------------------------------------------------------------------

struct Datapath {
  unsigned bit;
  const char* name;  ///< lab.sh's
  const char* title;
};
constexpr unsigned kRouted = 1;
constexpr unsigned kBridge = 2;
constexpr unsigned kBridgeNetfilter = 4;
constexpr unsigned kRedirect = 8 | 16;
constexpr unsigned kEndpoint = 32 | 64;
constexpr unsigned kHiding = 128;  ///< clients, behind the node's address
constexpr unsigned kTcxLinks = 16 | 64 | kHiding;
constexpr unsigned kBridges = kBridge | kBridgeNetfilter;
constexpr unsigned kStack = kRouted | kBridges | kEndpoint;  ///< the node's own routing delivers to pods
constexpr unsigned kNetfilter = kStack & ~kEndpoint;
constexpr unsigned kOpen = kStack | kRedirect;
constexpr unsigned kEverywhere = kOpen | kHiding;
constexpr std::array kDatapaths{
    Datapath{kRouted, "routed", "routed veth"},
    Datapath{kBridge, "bridge", "bridge"},
    Datapath{kBridgeNetfilter, "bridge-netfilter", "bridge, br_netfilter"},
    Datapath{8, "redirect", "BPF redirect, clsact"},
    Datapath{16, "redirect-tcx", "BPF redirect, TCX"},
    Datapath{32, "endpoint", "endpoint routes, clsact"},
    Datapath{64, "endpoint-tcx", "endpoint routes, TCX"},
    Datapath{kHiding, "masquerade", "BPF redirect, BPF masquerade"},
};

struct Family {
  unsigned bit;
  const char* name;
  const char* client;
  const char* target;
  const char* remote;
  const char* node;
  const char* lb;
  const char* cluster_ip;
};
constexpr unsigned kV4 = 1;
constexpr unsigned kV6 = 2;
constexpr unsigned kBoth = kV4 | kV6;
constexpr std::array kFamilies{
    Family{kV4, "IPv4", "10.0.1.10", "10.0.1.20", "10.0.9.9", "10.0.0.4", "10.0.5.5", "10.96.0.1"},
    Family{kV6, "IPv6", "fd00:1::10", "fd00:1::20", "fd00:9::9", "fd00::4", "fd00:5::5", "fd00:96::1"},
};

// --- what: shapes of traffic, and the verdict that is right for each -----------------------------------------

enum class Traffic {
  kPending,   ///< connections are opened, and nobody waits for them
  kRequests,  ///< one request after the other, which must be served
};
enum class Called { kLoadBalancer, kClusterIp, kTarget };

struct Shape {
  const char* title;
  const char* mode;  ///< lab.sh's
  const char* client = "p1";
  Traffic traffic = Traffic::kPending;
  Called called = Called::kLoadBalancer;
  /// What is only suspected must survive a retransmit where the first packet gets lost.
  const char* handshake_timeout = "1";
  const char* pod_interfaces = nullptr;  ///< asked for: the lab's card is a veth, as pods' devices are
  int more_hooks = 0;                    ///< than on its datapath elsewhere
  bool named = true;                     ///< the agent is told of the load balancers
};

// A verdict in words that are the same for both families: P1 and P2 are pods of the node, P3 one elsewhere.
struct Verdict {
  std::string says;     ///< the cause, or "silent" and the result that was counted
  std::string outcome;  ///< with the kernel's reason for a drop
  std::string details;  ///< who, and on what evidence

  bool operator==(const Verdict&) const = default;
  [[nodiscard]] std::string text() const { return says + (outcome.empty() ? "" : ", " + outcome); }
};

void PrintTo(const Verdict& verdict, std::ostream* out) {
  *out << verdict.text() << "; " << verdict.details;
}

struct Expectation {
  const Shape* shape;
  unsigned datapaths;
  unsigned families;
  Verdict verdict;
};

constexpr Shape kIpTarget{"LB -> pod", "ip-target"};
constexpr Shape kSamePort{"LB -> pod, the port it was called on", "ip-target-same-port"};
constexpr Shape kConntrack{"LB -> pod, the node tracks connections", "ip-target-conntrack"};
constexpr Shape kFlooded{"LB -> pod, the bridge floods", "ip-target-flooded"};
constexpr Shape kPolicy{"LB -> pod, a policy drops the answer", "ip-target-policy"};
constexpr Shape kNodePort{"LB -> node port -> pod", "node-port"};
constexpr Shape kNodePortPolicy{"LB -> node port -> pod, a policy drops the answer", "node-port-policy"};
constexpr Shape kStateless{"LB -> node port -> pod, stateless translation", "node-port-stateless"};
constexpr Shape kMasquerade{"LB -> node port, masquerade -> pod", "node-port-masquerade"};
constexpr Shape kRemoteMasquerade{"LB -> node port, masquerade -> pod elsewhere", "node-port-remote"};
constexpr Shape kHostTarget{"LB -> hostNetwork pod", "host-target"};
constexpr Shape kSnatEgress{"pod leaves under the node's address, LB -> pod", "snat-egress"};
constexpr Shape kSnatEgressNodePort{"pod leaves under the node's address, LB -> node port -> pod",
                                    "snat-egress-node-port"};
constexpr Shape kRpFilter{"LB -> pod, strict rp_filter", "rp-filter"};
constexpr Shape kRemoteDirect{"LB -> pod elsewhere, which answers directly", "remote-direct"};
constexpr Shape kSelf{"the pod is its own target", "ip-target", "p2"};
constexpr Shape kHostClient{"hostNetwork client, LB -> pod", "ip-target", "node"};
constexpr Shape kHostClientNodePort{"hostNetwork client, LB -> node port -> pod", "node-port", "node"};
constexpr Shape kHostClientHostTarget{"hostNetwork client, LB -> hostNetwork pod", "host-target", "node"};

// Served, one after the other, and slow enough to settle that a busy machine makes no mismatch of them.
constexpr Shape legitimate(const char* title, const char* mode, const char* client = "p1",
                           Called called = Called::kLoadBalancer) {
  return {title, mode, client, Traffic::kRequests, called, "5"};
}

constexpr Shape kNodeTranslates = legitimate("legitimate: the node translates the LB's address", "node-dnat");
constexpr Shape kNodeTranslatesRemote =
    legitimate("legitimate: the node translates the LB's address to a pod elsewhere", "node-dnat-remote");
constexpr Shape kClusterIp = legitimate("legitimate: ClusterIP", "cluster-ip", "p1", Called::kClusterIp);
// Where netfilter does not see what the bridge forwards, the node's translation is never undone: a failure like any.
constexpr Shape kNodeTranslatesInVain{"the node translates the LB's address, answers bypass it", "node-dnat"};
constexpr Shape kClusterIpInVain{
    .title = "ClusterIP, answers bypass the node", .mode = "cluster-ip", .called = Called::kClusterIp};
constexpr Shape kLbSnat = legitimate("legitimate: LB does not keep the client's address", "lb-snat");
constexpr Shape kAnswerLoss{.title = "legitimate: the same, the client loses the first SYN-ACK",
                            .mode = "answer-loss",
                            .handshake_timeout = "5"};
constexpr Shape kHostClientLbSnat = legitimate("legitimate: the same, hostNetwork client", "lb-snat", "node");
constexpr Shape kFloodedLbSnat = legitimate("legitimate: the same, the bridge floods", "lb-snat-flooded");
constexpr Shape kRemoteTarget = legitimate("legitimate: LB -> pod elsewhere, answers through the LB", "remote-target");
constexpr Shape kPolicyRouted =
    legitimate("legitimate: the target's replies are routed through the LB", "policy-routed");
constexpr Shape kPodToPod = legitimate("legitimate: pod to pod, no LB", "ip-target", "p1", Called::kTarget);
constexpr Shape kSynLoss{
    .title = "legitimate: the same, first SYN lost", .mode = "policy-routed-syn-loss", .handshake_timeout = "5"};
constexpr Shape kSynAckLoss{
    .title = "legitimate: the same, first SYN-ACK lost", .mode = "policy-routed-synack-loss", .handshake_timeout = "5"};
// Other ways in than one card and a device for each pod.
constexpr Shape kBridgedCard{
    .title = "LB -> pod, the card is a bridge's port", .mode = "bridged-card", .pod_interfaces = "veth?"};
constexpr Shape kTwoCards{.title = "LB -> pod, by a second card", .mode = "two-cards", .more_hooks = 2};
constexpr Shape kTwoUplinks{.title = "LB -> pod, out by one uplink and back by another",
                            .mode = "two-uplinks",
                            .pod_interfaces = "veth?",
                            .more_hooks = 2};
constexpr Shape kPodDefaultRoute{.title = "LB -> pod, the node has a default route to the client",
                                 .mode = "pod-default-route"};
constexpr Shape kMacvlan{.title = "LB -> pod, pods by macvlan", .mode = "macvlan"};
constexpr Shape by_another_way(const char* title, const char* mode, const char* pod_interfaces = nullptr,
                               int more_hooks = 0) {
  Shape shape = legitimate(title, mode);
  shape.pod_interfaces = pod_interfaces;
  shape.more_hooks = more_hooks;
  return shape;
}
constexpr Shape kBridgedCardLbSnat = by_another_way(
    "legitimate: the card is a bridge's port, LB does not keep the client's address", "bridged-card-lb-snat", "veth?");
constexpr Shape kTwoCardsLbSnat =
    by_another_way("legitimate: a second card, LB does not keep the client's address", "two-cards-lb-snat", nullptr, 2);
constexpr Shape kTwoUplinksLbSnat =
    by_another_way("legitimate: out by one uplink and back by another, LB does not keep the client's address",
                   "two-uplinks-lb-snat", "veth?", 2);
constexpr Shape kPodDefaultRouteLbSnat = by_another_way(
    "legitimate: a default route to the client, LB does not keep its address", "pod-default-route-lb-snat");
constexpr Shape kMacvlanLbSnat =
    by_another_way("legitimate: pods by macvlan, LB does not keep the client's address", "macvlan-lb-snat");
constexpr Shape kSilentLb{"LB answers nothing", "silent"};
constexpr Shape kRefusingLb{"LB answers with RST", "refuse"};
constexpr Shape kRemapped{"LB -> pod, from another port", "ip-target-remapped"};

// The same, and nobody has told the agent of the load balancer. Where only the SYN comes back it must do so twice.
constexpr Shape unnamed(Shape shape, const char* title) {
  shape.title = title;
  shape.named = false;
  shape.handshake_timeout = "5";
  return shape;
}

constexpr Shape kUnnamed = unnamed(kIpTarget, "unknown LB -> pod");
constexpr Shape kUnnamedRemapped = unnamed(kRemapped, "unknown LB -> pod, from another port");
constexpr Shape kUnnamedNodePort = unnamed(kNodePort, "unknown LB -> node port -> pod");
constexpr Shape kUnnamedMasquerade = unnamed(kMasquerade, "unknown LB -> node port, masquerade -> pod");
constexpr Shape kUnnamedRemoteMasquerade =
    unnamed(kRemoteMasquerade, "unknown LB -> node port, masquerade -> pod elsewhere");
constexpr Shape kUnnamedHostTarget = unnamed(kHostTarget, "unknown LB -> hostNetwork pod");
constexpr Shape kUnnamedSnatEgress = unnamed(kSnatEgress, "pod leaves under the node's address, unknown LB -> pod");
constexpr Shape kUnnamedRpFilter = unnamed(kRpFilter, "unknown LB -> pod, strict rp_filter");
constexpr Shape kUnnamedPolicy = unnamed(kPolicy, "unknown LB -> pod, a policy drops the answer");
constexpr Shape kUnnamedSelf = unnamed(kSelf, "the pod is its own target, unknown LB");
constexpr Shape kUnnamedHostClient = unnamed(kHostClient, "hostNetwork client, unknown LB -> pod");
constexpr Shape kUnnamedHostClientHostTarget =
    unnamed(kHostClientHostTarget, "hostNetwork client, unknown LB -> hostNetwork pod");
constexpr Shape kUnnamedBridgedCard = unnamed(kBridgedCard, "unknown LB -> pod, the card is a bridge's port");
constexpr Shape kUnnamedTwoUplinks = unnamed(kTwoUplinks, "unknown LB -> pod, out by one uplink and back by another");
constexpr Shape kUnnamedPodDefaultRoute =
    unnamed(kPodDefaultRoute, "unknown LB -> pod, the node has a default route to the client");
constexpr Shape kUnnamedMacvlan = unnamed(kMacvlan, "unknown LB -> pod, pods by macvlan");
constexpr Shape kUnnamedRemoteDirect =
    unnamed(kRemoteDirect, "unknown LB -> pod elsewhere, which answers directly: no SYN comes back");
constexpr Shape kUnnamedSilent = unnamed(kSilentLb, "unknown LB answers nothing");
constexpr Shape kUnnamedPolicyRouted =
    unnamed(kPolicyRouted, "legitimate: the target's replies are routed through the unknown LB");
constexpr Shape kUnnamedLbSnat = unnamed(kLbSnat, "legitimate: unknown LB does not keep the client's address");
constexpr Shape kUnnamedHostClientLbSnat =
    unnamed(kHostClientLbSnat, "legitimate: the same, hostNetwork client, unknown LB");
constexpr Shape kUnnamedBridgedCardLbSnat =
    unnamed(kBridgedCardLbSnat, "legitimate: the card is a bridge's port, unknown LB does not keep the address");
constexpr Shape kUnnamedTwoUplinksLbSnat = unnamed(
    kTwoUplinksLbSnat, "legitimate: out by one uplink and back by another, unknown LB does not keep the address");
constexpr Shape kUnnamedPodDefaultRouteLbSnat =
    unnamed(kPodDefaultRouteLbSnat, "legitimate: a default route to the client, unknown LB does not keep its address");
constexpr Shape kUnnamedMacvlanLbSnat =
    unnamed(kMacvlanLbSnat, "legitimate: pods by macvlan, unknown LB does not keep the client's address");
constexpr Shape kUnnamedRemoteTarget =
    unnamed(kRemoteTarget, "legitimate: unknown LB -> pod elsewhere, answers through the LB");
constexpr Shape kUnnamedNodeTranslates =
    unnamed(kNodeTranslates, "legitimate: the node translates an unknown LB's address");
constexpr Shape kUnnamedNodeTranslatesRemote =
    unnamed(kNodeTranslatesRemote, "legitimate: the node translates an unknown LB's address to a pod elsewhere");
constexpr Shape kUnnamedClusterIp = unnamed(kClusterIp, "legitimate: ClusterIP that nobody has named");

struct Misdirected {
  const char* cause;
  const char* responder = "P2:8443 local_pod";
  const char* backend = "P2:8443";
  const char* conntrack = "no_entry";
  const char* outcome = "reset_by_client";
  const char* devices = "veth1, veth2";  ///< where the SYN and the first wrong SYN-ACK were seen
  const char* returned = "SYN returned";
  const char* client = "P1";

  // NOLINTNEXTLINE(google-explicit-constructor): the table reads like one
  operator Verdict() const {
    return {.says = cause,
            .outcome = outcome,
            .details = std::string(client) + " was answered by " + responder + ", backend " + backend + ", conntrack " +
                       conntrack + ", " + returned + ", seen on " + devices};
  }
};

Verdict silent(const std::string& counted, const std::string& details = "") {
  return {.says = "silent (" + counted + ")", .outcome = "", .details = details};
}

// A load balancer of which there is no sign.
const Verdict kNotFound = silent("no load balancer found");

// What adds up to no verdict: shown as it is.
Verdict unclear(const std::string& counts) {
  return {.says = counts, .outcome = "", .details = ""};
}

// What the kernel says of a source address of its own: the name, where it has one (6.14).
const char* dropped_as_martian() {
  static const bool named = kernel_has_drop_reason("IP_LOCAL_SOURCE");
  return named ? "dropped (IP_LOCAL_SOURCE)" : "dropped (NOT_SPECIFIED)";
}

Misdirected martian(const char* devices, const char* client) {
  return {.cause = "hairpin_martian",
          .responder = "nobody",
          .backend = "none",
          .conntrack = "unchecked",
          .outcome = dropped_as_martian(),
          .devices = devices,
          .client = client};
}
const Misdirected kNodePortAnswers{
    .cause = "hairpin_node_port", .responder = "NODE:30443 node", .conntrack = "not_translated"};

const std::vector<Expectation>& expectations() {
  static const Verdict pod_martian = martian("veth1, none", "P1");
  static const Verdict host_martian = martian("eth0, none", "NODE");
  static const std::vector<Expectation> table{
      {&kIpTarget, kOpen, kBoth, Misdirected{"hairpin_ip_target"}},
      {&kSamePort, kOpen, kBoth, Misdirected{"hairpin_ip_target", "P2:443 local_pod", "P2:443"}},
      {&kConntrack, kOpen, kBoth, Misdirected{.cause = "hairpin_ip_target", .conntrack = "not_translated"}},
      {&kFlooded, kBridges, kBoth, Misdirected{"hairpin_ip_target"}},
      {&kPolicy, kNetfilter, kBoth, Misdirected{.cause = "hairpin_ip_target", .outcome = "dropped (NETFILTER_DROP)"}},
      {&kPolicy, kEndpoint, kBoth, Misdirected{.cause = "hairpin_ip_target", .outcome = "dropped (TC_EGRESS)"}},
      {&kPolicy, kRedirect, kBoth, Misdirected{.cause = "hairpin_ip_target", .outcome = "dropped (TC_INGRESS)"}},
      {&kNodePort, kRouted | kBridgeNetfilter, kBoth, kNodePortAnswers},
      // The answer bypasses the translation, too: no better for that.
      {&kNodePort, kBridge, kBoth, Misdirected{.cause = "hairpin_node_port", .conntrack = "not_translated"}},
      {&kNodePort, kRedirect | kEndpoint, kBoth,
       Misdirected{.cause = "hairpin_node_port", .responder = "NODE:30443 node"}},
      {&kNodePortPolicy, kNetfilter, kBoth,
       Misdirected{.cause = "hairpin_node_port",
                   .responder = "NODE:30443 node",
                   .conntrack = "not_translated",
                   .outcome = "dropped (NETFILTER_DROP)"}},
      {&kNodePortPolicy, kRedirect, kBoth,
       Misdirected{.cause = "hairpin_node_port", .responder = "NODE:30443 node", .outcome = "dropped (TC_INGRESS)"}},
      {&kNodePortPolicy, kEndpoint, kBoth,
       Misdirected{.cause = "hairpin_node_port", .responder = "NODE:30443 node", .outcome = "dropped (TC_EGRESS)"}},
      {&kStateless, kRouted, kBoth, Misdirected{.cause = "hairpin_node_port", .responder = "NODE:30443 node"}},
      {&kMasquerade, kOpen, kBoth,
       Misdirected{.cause = "hairpin_node_port", .responder = "NODE:30443 node", .conntrack = "unchecked"}},
      {&kRemoteMasquerade, kOpen, kBoth,
       Misdirected{.cause = "hairpin_node_port",
                   .responder = "NODE:30443 node",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .devices = "veth1, veth1"}},
      {&kHostTarget, kOpen, kBoth,
       Misdirected{.cause = "hairpin_host_target",
                   .responder = "NODE:8443 node",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .devices = "veth1, veth1"}},
      {&kSnatEgress, kStack, kV4, pod_martian},
      // IPv6 has no martian check, and bpf_redirect_peer comes before it: the node itself refuses the answer.
      {&kSnatEgress, kStack, kV6, Misdirected{.cause = "hairpin_ip_target", .conntrack = "unchecked"}},
      {&kSnatEgress, kRedirect, kBoth, Misdirected{.cause = "hairpin_ip_target", .conntrack = "unchecked"}},
      {&kSnatEgressNodePort, kStack, kV4, pod_martian},
      {&kSnatEgressNodePort, kEndpoint, kV6, Misdirected{.cause = "hairpin_node_port", .conntrack = "unchecked"}},
      {&kSnatEgressNodePort, kNetfilter, kV6,
       Misdirected{.cause = "hairpin_node_port", .responder = "NODE:30443 node", .conntrack = "unchecked"}},
      {&kSnatEgressNodePort, kRedirect, kBoth, Misdirected{.cause = "hairpin_node_port", .conntrack = "unchecked"}},
      {&kRpFilter, kStack, kV4,
       Misdirected{.cause = "hairpin_rp_filter",
                   .responder = "nobody",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .outcome = "dropped (IP_RPFILTER)",
                   .devices = "veth1, none"}},
      {&kRpFilter, kRedirect, kV4, Misdirected{"hairpin_ip_target"}},
      {&kRemoteDirect, kOpen, kBoth,
       Misdirected{.cause = "asymmetric_remote",
                   .responder = "P3:8443 remote",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .devices = "veth1, eth0",
                   .returned = "SYN not returned"}},
      {&kSelf, kOpen, kV4, martian("veth2, none", "P2")},
      {&kSelf, kOpen, kV6,
       Misdirected{.cause = "hairpin_ip_target",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .devices = "veth2, none",
                   .client = "P2"}},
      {&kHostClient, kStack, kV4, host_martian},
      {&kHostClient, kStack, kV6,
       Misdirected{.cause = "hairpin_ip_target", .devices = "eth0, veth2", .client = "NODE"}},
      {&kHostClient, kRedirect, kBoth,
       Misdirected{.cause = "hairpin_ip_target", .devices = "eth0, veth2", .client = "NODE"}},
      {&kHostClientNodePort, kStack, kV4, host_martian},
      {&kHostClientNodePort, kEndpoint, kV6,
       Misdirected{.cause = "hairpin_node_port", .devices = "eth0, veth2", .client = "NODE"}},
      {&kHostClientNodePort, kNetfilter, kV6,
       Misdirected{.cause = "hairpin_node_port",
                   .responder = "NODE:30443 node",
                   .conntrack = "not_translated",
                   .devices = "eth0, veth2",
                   .client = "NODE"}},
      {&kHostClientNodePort, kRedirect, kBoth,
       Misdirected{.cause = "hairpin_node_port", .devices = "eth0, veth2", .client = "NODE"}},
      {&kHostClientHostTarget, kOpen, kV4, host_martian},
      {&kHostClientHostTarget, kOpen, kV6,
       Misdirected{.cause = "hairpin_host_target",
                   .responder = "NODE:8443 node",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .devices = "eth0, lo",
                   .client = "NODE"}},

      {&kBridgedCard, kRouted, kBoth, Misdirected{"hairpin_ip_target"}},
      {&kTwoCards, kRouted, kBoth, Misdirected{"hairpin_ip_target"}},
      {&kTwoUplinks, kRouted, kBoth, Misdirected{"hairpin_ip_target"}},
      {&kPodDefaultRoute, kRouted, kBoth, Misdirected{"hairpin_ip_target"}},
      // macvlan hands what goes between its devices to the card's ingress, too.
      {&kMacvlan, kRouted, kBoth,
       Misdirected{.cause = "hairpin_ip_target", .conntrack = "unchecked", .devices = "eth0, eth0"}},

      // Behind the node's address by a program that comes after hairpind's: only the ISN says whose SYN came back.
      {&kIpTarget, kHiding, kBoth, Misdirected{.cause = "hairpin_ip_target", .conntrack = "unchecked"}},
      {&kSamePort, kHiding, kBoth,
       Misdirected{.cause = "hairpin_ip_target",
                   .responder = "P2:443 local_pod",
                   .backend = "P2:443",
                   .conntrack = "unchecked"}},
      {&kNodePort, kHiding, kBoth, Misdirected{.cause = "hairpin_node_port", .conntrack = "unchecked"}},
      {&kHostTarget, kHiding, kV4, pod_martian},
      {&kHostTarget, kHiding, kV6,
       Misdirected{.cause = "hairpin_host_target",
                   .responder = "NODE:8443 node",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .devices = "veth1, none"}},
      {&kSelf, kHiding, kBoth,
       Misdirected{.cause = "hairpin_ip_target", .conntrack = "unchecked", .devices = "veth2, veth2", .client = "P2"}},
      {&kHostClient, kHiding, kBoth,
       Misdirected{.cause = "hairpin_ip_target", .devices = "eth0, veth2", .client = "NODE"}},
      {&kHostClientHostTarget, kHiding, kV4, host_martian},
      {&kNodeTranslatesInVain, kBridge, kBoth,
       Misdirected{.cause = "hairpin_ip_target", .conntrack = "translated", .returned = "SYN not returned"}},
      {&kClusterIpInVain, kBridge, kBoth,
       Misdirected{.cause = "hairpin_ip_target", .conntrack = "translated", .returned = "SYN not returned"}},

      {&kRemapped, kRouted | kBridges, kBoth, Misdirected{.cause = "hairpin_ip_target", .conntrack = "no_entry"}},
      {&kRemapped, 8, kBoth, Misdirected{.cause = "hairpin_ip_target"}},

      {&kUnnamed, kRouted | kBridges | 8 | 32, kBoth, Misdirected{"hairpin_ip_target"}},
      {&kUnnamed, kHiding, kBoth, Misdirected{.cause = "hairpin_ip_target", .conntrack = "unchecked"}},
      {&kUnnamedRemapped, kRouted, kBoth, Misdirected{"hairpin_ip_target"}},
      {&kUnnamedPolicy, kRouted, kBoth,
       Misdirected{.cause = "hairpin_ip_target", .outcome = "dropped (NETFILTER_DROP)"}},
      {&kUnnamedNodePort, kRouted, kBoth, kNodePortAnswers},
      {&kUnnamedNodePort, 8 | 32, kBoth, Misdirected{.cause = "hairpin_node_port", .responder = "NODE:30443 node"}},
      {&kUnnamedMasquerade, kRouted, kBoth,
       Misdirected{.cause = "hairpin_node_port", .responder = "NODE:30443 node", .conntrack = "unchecked"}},
      {&kUnnamedRemoteMasquerade, kRouted, kBoth,
       Misdirected{.cause = "hairpin_node_port",
                   .responder = "NODE:30443 node",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .devices = "veth1, veth1"}},
      {&kUnnamedHostTarget, kRouted, kBoth,
       Misdirected{.cause = "hairpin_host_target",
                   .responder = "NODE:8443 node",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .devices = "veth1, veth1"}},
      {&kUnnamedSnatEgress, kRouted, kV4, pod_martian},
      {&kUnnamedSnatEgress, kRouted, kV6, Misdirected{.cause = "hairpin_ip_target", .conntrack = "unchecked"}},
      {&kUnnamedRpFilter, kRouted, kV4,
       Misdirected{.cause = "hairpin_rp_filter",
                   .responder = "nobody",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .outcome = "dropped (IP_RPFILTER)",
                   .devices = "veth1, none"}},
      {&kUnnamedSelf, kRouted, kV4, martian("veth2, none", "P2")},
      {&kUnnamedSelf, kRouted, kV6,
       Misdirected{.cause = "hairpin_ip_target",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .devices = "veth2, none",
                   .client = "P2"}},
      {&kUnnamedHostClient, kRouted, kV4, host_martian},
      {&kUnnamedHostClient, kRouted, kV6,
       Misdirected{.cause = "hairpin_ip_target", .devices = "eth0, veth2", .client = "NODE"}},
      {&kUnnamedHostClientHostTarget, kRouted, kV4, host_martian},
      {&kUnnamedHostClientHostTarget, kRouted, kV6,
       Misdirected{.cause = "hairpin_host_target",
                   .responder = "NODE:8443 node",
                   .backend = "none",
                   .conntrack = "unchecked",
                   .devices = "eth0, lo",
                   .client = "NODE"}},
      {&kUnnamedBridgedCard, kRouted, kBoth, Misdirected{"hairpin_ip_target"}},
      {&kUnnamedTwoUplinks, kRouted, kBoth, Misdirected{"hairpin_ip_target"}},
      {&kUnnamedPodDefaultRoute, kRouted, kBoth, Misdirected{"hairpin_ip_target"}},
      {&kUnnamedMacvlan, kRouted, kBoth,
       Misdirected{.cause = "hairpin_ip_target", .conntrack = "unchecked", .devices = "eth0, eth0"}},
      {&kUnnamedRemoteDirect, kRouted, kBoth, kNotFound},

      {&kNodeTranslates, kRouted | kBridgeNetfilter, kBoth, silent("answered", "the node translated")},
      {&kNodeTranslates, kRedirect | kEndpoint | kHiding, kBoth, silent("answered")},
      {&kNodeTranslatesRemote, kEverywhere, kBoth, silent("answered")},
      {&kClusterIp, kRouted | kBridgeNetfilter, kBoth, silent("answered", "the node translated")},
      {&kClusterIp, kRedirect | kEndpoint | kHiding, kBoth, silent("answered")},
      {&kLbSnat, kEverywhere, kBoth, silent("answered")},
      {&kAnswerLoss, kEverywhere, kBoth, silent("answered")},
      {&kHostClientLbSnat, kEverywhere, kBoth, silent("answered")},
      {&kFloodedLbSnat, kBridges, kBoth, silent("answered")},
      {&kRemoteTarget, kEverywhere, kBoth, silent("answered")},
      {&kBridgedCardLbSnat, kRouted, kBoth, silent("answered")},
      {&kTwoCardsLbSnat, kRouted, kBoth, silent("answered")},
      {&kTwoUplinksLbSnat, kRouted, kBoth, silent("answered")},
      {&kPodDefaultRouteLbSnat, kRouted, kBoth, silent("answered")},
      {&kMacvlanLbSnat, kRouted, kBoth, silent("answered")},
      {&kPolicyRouted, kOpen, kBoth, silent("answered")},
      {&kSynLoss, kOpen, kBoth, silent("answered")},
      {&kSynAckLoss, kOpen, kBoth, silent("answered")},
      {&kPodToPod, kEverywhere, kBoth, silent("no load balancer called")},
      {&kSilentLb, kEverywhere, kBoth, silent("unanswered")},
      {&kRefusingLb, kEverywhere, kBoth, silent("refused")},
      {&kUnnamedPolicyRouted, kRouted | kBridge | 8, kBoth, silent("answered")},
      {&kUnnamedLbSnat, kRouted | kBridge | 8, kBoth, kNotFound},
      {&kUnnamedHostClientLbSnat, kRouted, kBoth, kNotFound},
      {&kUnnamedBridgedCardLbSnat, kRouted, kBoth, kNotFound},
      {&kUnnamedTwoUplinksLbSnat, kRouted, kBoth, kNotFound},
      {&kUnnamedPodDefaultRouteLbSnat, kRouted, kBoth, kNotFound},
      {&kUnnamedMacvlanLbSnat, kRouted, kBoth, kNotFound},
      {&kUnnamedRemoteTarget, kRouted, kBoth, kNotFound},
      {&kUnnamedNodeTranslates, kRouted | 8, kBoth, kNotFound},
      {&kUnnamedNodeTranslatesRemote, kRouted | 8 | kHiding, kBoth, kNotFound},
      {&kUnnamedClusterIp, kRouted | 8, kBoth, kNotFound},
      {&kUnnamedSilent, kRouted, kBoth, kNotFound},
  };
  return table;
}

const Expectation* expectation(const Shape& shape, const Datapath& datapath, const Family& family) {
  const auto found = std::ranges::find_if(expectations(), [&](const Expectation& row) {
    return row.shape == &shape && (row.datapaths & datapath.bit) != 0 && (row.families & family.bit) != 0;
  });
  return found == expectations().end() ? nullptr : &*found;
}

// In the table's order.
std::vector<const Shape*> shapes() {
  std::vector<const Shape*> all;
  for (const Expectation& row : expectations()) {
    if (std::ranges::find(all, row.shape) == all.end()) {
      all.push_back(row.shape);
    }
  }
  return all;
}

// --- how: run them, several labs at once ---------------------------------------------------------------------

struct CellId {
  const Shape* shape;
  const Datapath* datapath;
  const Family* family;

  auto operator<=>(const CellId&) const = default;
};

void PrintTo(const CellId& id, std::ostream* out) {
  *out << id.shape->title << ", " << id.datapath->title << ", " << id.family->name;
}

struct Cell {
  Verdict verdict;
  std::string evidence;  ///< for whoever must find out why it is wrong
  std::string skipped;   ///< why it could not be run, or empty
};

using Samples = std::map<std::string, double>;

constexpr int kPending = 20;
constexpr int kRequests = 200;

std::string destination(const Shape& shape, const Family& family) {
  switch (shape.called) {
    case Called::kLoadBalancer:
      return family.lb;
    case Called::kClusterIp:
      return family.cluster_ip;
    case Called::kTarget:
      break;
  }
  return family.target;
}

std::string label(const std::string& address, int port) {
  return (address.find(':') == std::string::npos ? address : "[" + address + "]") + ":" + std::to_string(port);
}

std::string in_words(const Json& endpoint, const Family& family) {
  if (endpoint.is_null()) {
    return "none";
  }
  const std::map<std::string, std::string> names{{family.client, "P1"},
                                                 {family.target, "P2"},
                                                 {family.remote, "P3"},
                                                 {family.node, "NODE"},
                                                 // By macvlan.
                                                 {"10.0.0.110", "P1"},
                                                 {"fd00::110", "P1"},
                                                 {"10.0.0.120", "P2"},
                                                 {"fd00::120", "P2"}};
  const auto name = names.find(endpoint["ip"].get<std::string>());
  return (name == names.end() ? endpoint["ip"].get<std::string>() : name->second) + ":" +
         std::to_string(endpoint["port"].get<int>());
}

std::string text_or_none(const Json& value) {
  return value.is_string() ? value.get<std::string>() : "none";
}

Verdict in_words_of_alert(const Json& alert, const Shape& shape, const Family& family) {
  const Json& evidence = alert["evidence"];
  const Json& outcome = alert["outcome"];
  const std::string client = in_words(alert["client"], family);
  Verdict verdict{.says = alert["cause"], .outcome = outcome["state"], .details = ""};
  if (!outcome["drop_reason"].is_null()) {
    verdict.outcome += " (" + outcome["drop_reason"].get<std::string>() + ")";
  }
  const std::string responder = alert["responder"].is_null() ? "nobody"
                                                             : in_words(alert["responder"], family) + " " +
                                                                   alert["responder"]["kind"].get<std::string>();
  verdict.details = client.substr(0, client.find(':')) + " was answered by " + responder + ", backend " +
                    in_words(alert["backend"], family) + ", conntrack " + evidence["conntrack"].get<std::string>() +
                    (evidence["returned_syn"] == true ? ", SYN returned" : ", SYN not returned") + ", seen on " +
                    text_or_none(evidence["syn_interface"]) + ", " + text_or_none(evidence["synack_interface"]);
  if (alert["event"] != "asymmetric_handshake" || alert["severity"] != "critical" || alert["node"] != "lab-node" ||
      evidence["isn_match"] == alert["responder"].is_null() || alert["load_balancer"]["port"] != 443 ||
      alert["load_balancer"]["origin"] != (shape.named ? "configured" : "learned") ||
      (outcome["state"] == "dropped") == outcome["drop_location"].is_null() ||
      alert["message"].get<std::string>().find(alert["load_balancer"]["ip"]) == std::string::npos) {
    verdict.details += "; the alert has a wrong field: " + alert.dump();
  }
  return verdict;
}

// What the agent says of `count` connections of one family by now. Everything that must add up is part of it.
Verdict observe(const Samples& samples, std::vector<Json> alerts, const Shape& shape, const Family& family, int count) {
  const std::string lb = "{lb=\"" + label(destination(shape, family), 443) + "\"";
  const auto of_lb = [&](const std::string& metric, const std::string& more = "}") {
    const auto found = samples.find("hairpind_" + metric + "_total" + lb + more);
    return found == samples.end() ? 0 : static_cast<int>(found->second);
  };
  const auto result = [&](const std::string& name) { return of_lb("handshakes", ",result=\"" + name + "\"}"); };
  std::erase_if(alerts, [&](const Json& alert) { return alert["load_balancer"]["ip"] != destination(shape, family); });

  const int answered = result("answered");
  const int mismatched = result("mismatched");
  const int refused = result("refused");
  const int unanswered = result("unanswered");
  const std::string counts = std::to_string(of_lb("syns")) + " SYNs, " + std::to_string(answered) + " answered, " +
                             std::to_string(mismatched) + " mismatched, " + std::to_string(refused) + " refused, " +
                             std::to_string(unanswered) + " unanswered, " +
                             std::to_string(of_lb("legitimate_translations")) + " translated, " +
                             std::to_string(alerts.size()) + " alerts";
  if (samples.empty()) {
    return unclear("the agent gives no metrics");
  }
  if (shape.called == Called::kTarget) {
    return alerts.empty() ? silent("no load balancer called") : unclear(counts);
  }
  if (!shape.named && alerts.empty() && of_lb("syns") == 0) {
    return kNotFound;
  }
  if (of_lb("syns") != count || answered + mismatched + refused + unanswered != count) {
    return unclear(counts);
  }
  if (mismatched == count && alerts.size() == 1) {
    Verdict verdict = in_words_of_alert(alerts[0], shape, family);
    if (of_lb("mismatches", ",cause=\"" + verdict.says + "\"}") != count) {
      verdict.details += "; counted under another cause";
    }
    // Each SYN is repeated after a second, and repeats belong to the attempts they repeat.
    if (of_lb("syn_retransmits") < count) {
      verdict.details += "; waiting for retransmits";
    }
    return verdict;
  }
  if (!alerts.empty() || mismatched != 0) {
    return unclear(counts);
  }
  const int translated = of_lb("legitimate_translations");
  std::string details;
  if (translated != 0) {
    details = translated == count ? "the node translated" : counts;
  }
  for (const auto& [name, value] :
       {std::pair{"answered", answered}, {"refused", refused}, {"unanswered", unanswered}}) {
    if (value == count) {
      return silent(name, details);
    }
  }
  return unclear(counts);
}

// What must hold of the whole agent, whatever the traffic: empty if it does.
std::string disorder(const Samples& samples, const Shape& shape, const Datapath& datapath, double load_balancers,
                     double syns, double mismatches) {
  std::string text;
  const auto expect = [&](const std::string& metric, double value) {
    double found = 0;
    for (const auto& [series, sample] : samples) {
      found += series == metric || series.starts_with(metric + "{") ? sample : 0;
    }
    if (found != value) {
      text += "; " + metric + " is " + std::to_string(static_cast<int>(found));
    }
  };
  expect("hairpind_syns_total", syns);
  expect("hairpind_mismatches_total", mismatches);
  expect("hairpind_pending_syns", 0);
  expect("hairpind_events_lost_total", 0);
  expect("hairpind_spoofed_sources_total", 0);
  expect("hairpind_attach_failures_total", 0);
  // Two hooks on each of two pods' devices (a bridge has a third pod) and on the uplink.
  expect("hairpind_interfaces_attached", ((datapath.bit & kBridges) != 0 ? 8 : 6) + shape.more_hooks);
  expect("hairpind_load_balancers", load_balancers);
  // What finds a load balancer is an event.
  if (mismatches == 0 && (shape.named || syns == 0)) {
    expect("hairpind_events_total", 0);
  }
  return text;
}

// Both families at once: they share the lab's mode and the agent, and are told apart by the load balancer's address.
std::map<const Family*, Cell> run(const NetworkLab& lab, const Shape& shape, const Datapath& datapath,
                                  std::vector<std::string> arguments = {}) {
  std::vector<const Family*> families;
  for (const Family& family : kFamilies) {
    if (expectation(shape, datapath, family) != nullptr) {
      families.push_back(&family);
    }
  }
  lab.set_mode(shape.mode);
  arguments.insert(arguments.end(), {"--node-name", "lab-node", "--handshake-timeout", shape.handshake_timeout,
                                     "--repeat-interval", "3600"});
  if (shape.named) {
    arguments.insert(arguments.end(), {"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443", "--lb", "10.96.0.1:443",
                                       "--lb", "[fd00:96::1]:443"});
  }
  if (shape.pod_interfaces != nullptr) {
    arguments.insert(arguments.end(), {"--pod-interface", shape.pod_interfaces});
  }
  const AgentProcess agent(lab, std::move(arguments));
  if (!agent.wait_until_ready()) {
    return {};
  }
  const bool requests = shape.traffic == Traffic::kRequests;
  const int count = requests ? kRequests : kPending;
  std::map<const Family*, std::unique_ptr<PendingConnections>> pending;
  std::map<const Family*, int> complete;
  lab.inside(shape.client, [&] {
    for (const Family* const family : families) {
      const std::string address = destination(shape, *family);
      if (requests) {
        complete[family] = complete_requests(address, shape.called == Called::kTarget ? 8443 : 443, kRequests);
      } else {
        pending[family] = std::make_unique<PendingConnections>(address, 443, kPending);
      }
    }
  });

  double load_balancers = shape.named ? 4 : 0;
  double syns = 0;
  double mismatches = 0;
  for (const Family* const family : families) {
    const std::string& says = expectation(shape, datapath, *family)->verdict.says;
    const bool found = says != kNotFound.says;
    load_balancers += !shape.named && found ? 1 : 0;
    syns += shape.called == Called::kTarget || !found ? 0 : count;
    if (!says.starts_with("silent")) {
      mismatches += count;
    }
  }
  std::map<const Family*, Cell> cells;
  const auto right = [&] {
    const Samples samples = agent.metrics();
    const auto alerts = agent.alerts();
    const std::string wrong_totals = disorder(samples, shape, datapath, load_balancers, syns, mismatches);
    bool all = true;
    for (const Family* const family : families) {
      const Verdict& expected = expectation(shape, datapath, *family)->verdict;
      Cell& cell = cells[family];
      cell.verdict = observe(samples, alerts, shape, *family, count);
      cell.verdict.details += wrong_totals;
      all = all && cell.verdict == expected;
    }
    return all;
  };
  const auto must_connect = [&](const Family* family) {
    const std::string& says = expectation(shape, datapath, *family)->verdict.says;
    return says == "silent (answered)" || shape.called == Called::kTarget || (says == kNotFound.says && requests);
  };
  // What was lost on its way to the client is sent again; until then nothing is as it will be.
  for (const auto& [family, connections] : pending) {
    if (must_connect(family)) {
      eventually([&] { return connections->established() == count; }, std::chrono::seconds(20));
    }
  }
  // The verdict must come, and stay.
  if (eventually(right, std::chrono::seconds(20))) {
    right();
  }
  for (auto& [family, cell] : cells) {
    const Verdict& expected = expectation(shape, datapath, *family)->verdict;
    const int connected = requests ? complete[family] : pending[family]->established();
    if (connected != (must_connect(family) ? count : 0)) {
      cell.verdict.details += "; the lab is not what it should be: " + std::to_string(connected) + " connected";
    }
    if (cell.verdict != expected) {
      cell.evidence = agent.get("/metrics").second + agent.standard_error() + Json(agent.alerts()).dump(1);
    }
  }
  return cells;
}

std::string cell_name(const CellId& id) {
  const Shape* const shape = id.shape;
  const bool in_vain = std::string_view(shape->title).find("bypass") != std::string_view::npos;
  const std::map<std::string_view, std::string> prefixes{{"p1", ""}, {"p2", "self_"}, {"node", "host_client_"}};
  std::string name = (shape->named ? "" : "unnamed_") + prefixes.at(shape->client) + shape->mode +
                     (shape->called == Called::kTarget ? "_direct" : "") + (in_vain ? "_in_vain" : "") + "_on_" +
                     id.datapath->name + "_" + id.family->name;
  std::ranges::replace(name, '-', '_');
  return name;
}

std::vector<CellId> all_cells() {
  std::vector<CellId> cells;
  for (const Shape* const shape : shapes()) {
    for (const Datapath& datapath : kDatapaths) {
      for (const Family& family : kFamilies) {
        if (expectation(*shape, datapath, family) != nullptr) {
          cells.push_back({shape, &datapath, &family});
        }
      }
    }
  }
  return cells;
}

// Which cells the caller asked for (--gtest_filter). The matrix needs all.
bool is_wanted(const CellId& id) {
  const auto& unit_test = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < unit_test.total_test_suite_count(); i++) {
    const auto& suite = *unit_test.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); j++) {
      const auto& test = *suite.GetTestInfo(j);
      if (test.should_run() &&
          (std::string(suite.name()) == "VerdictMatrix" || std::string(test.name()) == "IsRight/" + cell_name(id))) {
        return true;
      }
    }
  }
  return false;
}

// Each datapath has its lab and its thread: most of a cell is waiting. Not so in an emulated machine, where all of them
// at once would keep the handshakes waiting: HAIRPIND_LAB_ONE_BY_ONE (tests/vm/).
std::map<CellId, Cell> run_all() {
  const bool one_by_one = std::getenv("HAIRPIND_LAB_ONE_BY_ONE") != nullptr;
  std::map<CellId, Cell> results;
  std::mutex mutex;
  std::vector<std::jthread> threads;
  threads.reserve(kDatapaths.size());
  for (const Datapath& datapath : kDatapaths) {
    threads.emplace_back([&results, &mutex, &datapath] {
      std::unique_ptr<NetworkLab> lab;
      for (const Shape* const shape : shapes()) {
        const auto wanted = [&](const Family& family) {
          return expectation(*shape, datapath, family) != nullptr && is_wanted({shape, &datapath, &family});
        };
        if (std::ranges::none_of(kFamilies, wanted)) {
          continue;
        }
        if (!lab) {
          lab = std::make_unique<NetworkLab>(datapath.name);
        }
        std::map<const Family*, Cell> cells;
        if (lab->unavailable().empty()) {
          cells = run(*lab, *shape, datapath);
        } else {
          for (const Family& family : kFamilies) {
            cells[&family].skipped = lab->unavailable();
          }
        }
        const std::scoped_lock lock(mutex);
        for (auto& [family, cell] : cells) {
          results[{shape, &datapath, family}] = std::move(cell);
        }
      }
    });
    if (one_by_one) {
      threads.clear();
    }
  }
  threads.clear();
  return results;
}

// Run once, at the first question.
const std::map<CellId, Cell>& results() {
  static const std::map<CellId, Cell> all = run_all();
  return all;
}

// --- the tests ---------------------------------------------------------------------------------------------

class VerdictCell : public ::testing::TestWithParam<CellId> {};

TEST_P(VerdictCell, IsRight) {
  const auto found = results().find(GetParam());
  ASSERT_NE(found, results().end()) << "the agent did not start";
  const Cell& cell = found->second;
  if (!cell.skipped.empty()) {
    GTEST_SKIP() << cell.skipped;
  }
  EXPECT_EQ(cell.verdict, expectation(*GetParam().shape, *GetParam().datapath, *GetParam().family)->verdict)
      << cell.evidence;
}

INSTANTIATE_TEST_SUITE_P(Lab, VerdictCell, ::testing::ValuesIn(all_cells()),
                         [](const auto& cell) { return cell_name(cell.param); });

// Not beside a TCX link that redirects: the kernel runs it before any clsact filter.
class VerdictOfClsactFilters : public ::testing::TestWithParam<Datapath> {};

TEST_P(VerdictOfClsactFilters, IsTheSame) {
  const NetworkLab lab(GetParam().name);
  if (!lab.unavailable().empty()) {
    GTEST_SKIP() << lab.unavailable();
  }
  const auto& datapath = *std::ranges::find(kDatapaths, GetParam().bit, &Datapath::bit);
  for (const Shape* const shape : {&kIpTarget, &kLbSnat, &kNodeTranslates}) {
    if (expectation(*shape, datapath, kFamilies[0]) == nullptr) {
      continue;
    }
    const auto cells = run(lab, *shape, datapath, {"--attach", "clsact"});
    EXPECT_EQ(cells.size(), 2) << "the agent did not start";
    for (const auto& [family, cell] : cells) {
      EXPECT_EQ(cell.verdict, expectation(*shape, datapath, *family)->verdict)
          << shape->title << ", " << family->name << "\n"
          << cell.evidence;
    }
  }
}

std::vector<Datapath> datapaths_without_tcx() {
  std::vector<Datapath> without;
  std::ranges::copy_if(kDatapaths, std::back_inserter(without),
                       [](const Datapath& datapath) { return (datapath.bit & kTcxLinks) == 0; });
  return without;
}

INSTANTIATE_TEST_SUITE_P(Lab, VerdictOfClsactFilters, ::testing::ValuesIn(datapaths_without_tcx()),
                         [](const auto& test) {
                           std::string name = test.param.name;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// Not what this kernel lacks: a datapath whose cells were all skipped has no column.
std::vector<const Datapath*> datapaths_run() {
  std::vector<const Datapath*> run;
  for (const Datapath& datapath : kDatapaths) {
    if (std::ranges::any_of(results(), [&](const auto& result) {
          return result.first.datapath == &datapath && result.second.skipped.empty();
        })) {
      run.push_back(&datapath);
    }
  }
  return run;
}

// The results as a table.
std::string table() {
  std::string text = "| shape |";
  std::string rule = "|---|";
  const auto datapaths = datapaths_run();
  for (const Datapath* const datapath : datapaths) {
    for (const Family& family : kFamilies) {
      text += std::string(" ") + datapath->title + ", " + family.name + " |";
      rule += "---|";
    }
  }
  text += "\n" + rule + "\n";
  for (const Shape* const shape : shapes()) {
    text += std::string("| ") + shape->title + " |";
    for (const Datapath* const datapath : datapaths) {
      for (const Family& family : kFamilies) {
        const Expectation* const expected = expectation(*shape, *datapath, family);
        const auto found = results().find({shape, datapath, &family});
        if (expected == nullptr) {
          text += " |";
        } else if (found == results().end()) {
          text += " the agent did not start |";
        } else {
          const Verdict& verdict = found->second.verdict;
          text += (verdict == expected->verdict ? " right: " : " **WRONG**: ") + verdict.text() + " |";
        }
      }
    }
    text += "\n";
  }
  return text;
}

// The page: what was run, where and when, and the table.
std::string page(const std::string& table) {
  const auto today = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  const std::chrono::year_month_day date(today);
  std::ostringstream text;
  text << "# Verdict matrix\n"
          "\n"
          "What hairpind says of each shape of traffic, over each datapath, in the lab "
          "(tests/lab/verdict_lab_test.cpp).\n"
          "Written by the test run: do not edit. A cell is *right* if cause, outcome, responder, backend, conntrack, "
          "devices\n"
          "and every count are what they must be. P1 is the client; \"silent\" means no alert, no event, and the "
          "handshakes\n"
          "counted under that result. Empty: the shape does not exist there. A page for each kernel: "
          "[6.1](verdict-matrix-6.1.md),\n"
          "[6.12](verdict-matrix-6.12.md), [6.18](verdict-matrix.md).\n"
          "\n"
          "Kernel "
       << kernel_release() << ", " << static_cast<int>(date.year()) << '-' << std::setfill('0') << std::setw(2)
       << static_cast<unsigned>(date.month()) << '-' << std::setw(2) << static_cast<unsigned>(date.day()) << ".\n\n"
       << table;
  return text.str();
}

TEST(VerdictMatrix, IsTheOneInDocs) {
  const std::string found = table();
  // Another kernel's page (tests/vm/): there is nothing to compare it with, since it is what that run is for.
  const char* const elsewhere = std::getenv("HAIRPIND_LAB_MATRIX");
  const std::string written = elsewhere == nullptr ? HAIRPIND_LAB_BINARIES "/verdict-matrix.md" : elsewhere;
  std::ofstream(written) << page(found);
  std::cout << found;
  if (elsewhere != nullptr) {
    return;
  }
  if (datapaths_run().size() != kDatapaths.size()) {
    GTEST_SKIP() << "not every datapath could be run; what was is in " << written;
  }
  const std::string in_docs = read_file(HAIRPIND_SOURCE_DIR "/docs/verdict-matrix.md");
  EXPECT_TRUE(in_docs.ends_with("\n\n" + found))
      << "docs/verdict-matrix.md is not what this run found (above). If every cell is right: cp " << written
      << " " HAIRPIND_SOURCE_DIR "/docs/verdict-matrix.md";
}

}  // namespace
}  // namespace hairpind::testing
