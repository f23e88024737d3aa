// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/interface_selection.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <utility>

namespace hairpind {
namespace {

using Selected = std::map<std::uint32_t, SelectedInterface>;
using Reasons = std::map<std::uint32_t, InterfaceReason>;

bool matches(const std::vector<std::string>& globs, const std::string& name) {
  return std::ranges::any_of(globs,
                             [&](const std::string& glob) { return fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

bool has_peer_elsewhere(const NetworkInterface& interface) {
  return (interface.kind == "veth" || interface.kind == "netkit") && interface.peer_in_other_namespace;
}

// What a pod's address may be routed to, and still be a pod's: not a card, bridge or tunnel, by which it is reached.
bool may_be_a_pods(const NetworkInterface& interface) {
  return has_peer_elsewhere(interface) || interface.kind == "tun";
}

std::set<std::uint32_t> ways_to_pods(const NetworkView& view, const InterfaceHints& hints) {
  std::set<std::uint32_t> ways;
  for (const HostRoute& route : view.host_routes) {
    const auto found = view.interfaces.find(route.ifindex);
    if (hints.pods.contains(route.address) && found != view.interfaces.end() && may_be_a_pods(found->second)) {
      ways.insert(route.ifindex);
    }
  }
  return ways;
}

// Where nobody names the pods: who else has a route to himself? A gateway; a load balancer.
std::set<std::uint32_t> ways_to_one_address(const NetworkView& view, const InterfaceHints& hints) {
  std::set<std::uint32_t> ways;
  for (const HostRoute& route : view.host_routes) {
    if (!view.gateways.contains(route.address) && !hints.load_balancers.contains(route.address)) {
      ways.insert(route.ifindex);
    }
  }
  return ways;
}

Reasons find_pods(const NetworkView& view, const InterfaceSelection& selection, const std::set<std::uint32_t>& named) {
  Reasons pods;
  for (const auto& [ifindex, interface] : view.interfaces) {
    if (interface.loopback) {
      continue;
    }
    if (!selection.pod_globs.empty()) {
      if (matches(selection.pod_globs, interface.name)) {
        pods.emplace(ifindex, InterfaceReason::kAskedFor);
      }
    } else if (named.contains(ifindex)) {
      pods.emplace(ifindex, InterfaceReason::kPodsAddress);
    } else if (has_peer_elsewhere(interface)) {
      pods.emplace(ifindex, InterfaceReason::kPeerElsewhere);
    }
  }
  return pods;
}

// What all of a card's packets pass: its bond's or team's device, or that of a synthetic card (hv_netvsc) above it.
std::uint32_t top_of(const NetworkView& view, std::uint32_t ifindex) {
  const auto master = view.interfaces.find(view.interfaces.at(ifindex).master_ifindex);
  if (master == view.interfaces.end() || master->first == ifindex) {
    return ifindex;
  }
  const std::string& kind = master->second.kind;
  return kind.empty() || kind == "bond" || kind == "team" ? master->first : ifindex;
}

void add_cards(Reasons& uplinks, const NetworkView& view, const Reasons& pods) {
  for (const auto& [ifindex, interface] : view.interfaces) {
    if (interface.kind.empty() && interface.up && !interface.loopback && !pods.contains(ifindex)) {
      uplinks.emplace(top_of(view, ifindex), InterfaceReason::kNetworkCard);
    }
  }
}

// A bridge of pods alone: what comes in on it is theirs.
bool is_bridge_of_pods(const NetworkView& view, const Reasons& pods, std::uint32_t ifindex) {
  return view.interfaces.at(ifindex).kind == "bridge" && std::ranges::none_of(view.interfaces, [&](const auto& entry) {
           return entry.second.master_ifindex == ifindex && !pods.contains(entry.first);
         });
}

void add_ways_out(Reasons& uplinks, const NetworkView& view, const InterfaceHints& hints, const Reasons& pods) {
  for (const auto& [ifindex, interface] : view.interfaces) {
    if (interface.has_default_route && !interface.loopback && !pods.contains(ifindex)) {
      uplinks.emplace(ifindex, InterfaceReason::kDefaultRoute);
    }
  }
  for (const auto& [address, ifindexes] : hints.load_balancers) {
    for (const std::uint32_t ifindex : ifindexes) {
      const auto found = view.interfaces.find(ifindex);
      if (found != view.interfaces.end() && !found->second.loopback && !pods.contains(ifindex) &&
          !is_bridge_of_pods(view, pods, ifindex)) {
        uplinks.emplace(ifindex, InterfaceReason::kLoadBalancer);
      }
    }
  }
}

// How sure it is that a device that looks like a pod's is the way out of a node that is a container.
enum class Sureness : std::uint8_t { kNot, kAnnounced, kOneAddress, kNodesAddress, kSomeTable, kFirst };

std::pair<Sureness, InterfaceReason> how_sure(const NetworkInterface& interface, bool leads_to_load_balancer,
                                              bool has_one_address) {
  const bool is_configured = interface.has_default_route && !interface.default_route_announced;
  if (is_configured) {
    if (has_one_address) {
      return {Sureness::kOneAddress, InterfaceReason::kDefaultRoute};
    }
    if (interface.default_route_first || !leads_to_load_balancer) {
      return {interface.default_route_first ? Sureness::kFirst : Sureness::kSomeTable, InterfaceReason::kDefaultRoute};
    }
  }
  if (leads_to_load_balancer && !has_one_address) {
    return {Sureness::kFirst, InterfaceReason::kLoadBalancer};
  }
  if (interface.on_subnet && !has_one_address) {
    return {Sureness::kNodesAddress, InterfaceReason::kNodesAddress};
  }
  return {interface.has_default_route ? Sureness::kAnnounced : Sureness::kNot, InterfaceReason::kDefaultRoute};
}

// Of a container's devices the surest; those that are less sure only where nothing else is known.
void add_ways_out_of_container(Reasons& uplinks, const NetworkView& view, const InterfaceHints& hints,
                               const Reasons& pods, const std::set<std::uint32_t>& named) {
  const auto one_address = ways_to_one_address(view, hints);
  std::map<Sureness, Reasons> found;
  for (const auto& [ifindex, reason] : pods) {
    const bool leads = std::ranges::any_of(hints.load_balancers,
                                           [ifindex](const auto& entry) { return entry.second.contains(ifindex); });
    if (!named.contains(ifindex)) {
      const auto [sureness, why] = how_sure(view.interfaces.at(ifindex), leads, one_address.contains(ifindex));
      found[sureness].emplace(ifindex, why);
    }
  }
  found.erase(Sureness::kNot);
  if (!found.empty() && (found.rbegin()->first == Sureness::kFirst || uplinks.empty())) {
    uplinks.merge(found.rbegin()->second);
  }
}

void put_ports_for_bridges(Reasons& uplinks, const NetworkView& view, const Reasons& pods) {
  std::set<std::uint32_t> bridges;
  Reasons ports;
  for (const auto& [ifindex, interface] : view.interfaces) {
    const std::uint32_t master = interface.master_ifindex;
    const auto bridge = view.interfaces.find(master);
    if (uplinks.contains(master) && bridge->second.kind == "bridge" && !pods.contains(ifindex)) {
      bridges.insert(master);
      ports.emplace(ifindex, InterfaceReason::kBridgePort);
    }
  }
  std::erase_if(uplinks, [&](const auto& entry) { return bridges.contains(entry.first); });
  uplinks.merge(ports);
}

Reasons find_uplinks(const NetworkView& view, const InterfaceHints& hints, const Reasons& pods,
                     const std::set<std::uint32_t>& named) {
  Reasons uplinks;
  add_cards(uplinks, view, pods);
  const bool is_container =
      uplinks.empty() && std::ranges::none_of(view.interfaces, [&](const auto& entry) {
        return entry.second.kind.empty() && entry.second.has_default_route && !pods.contains(entry.first);
      });
  add_ways_out(uplinks, view, hints, pods);
  if (is_container) {
    add_ways_out_of_container(uplinks, view, hints, pods, named);
  }
  put_ports_for_bridges(uplinks, view, pods);
  return uplinks;
}

}  // namespace

std::string_view to_string(InterfaceRole role) {
  return role == InterfaceRole::kPod ? "pod interface" : "uplink";
}

std::string_view to_string(InterfaceReason reason) {
  switch (reason) {
    case InterfaceReason::kAskedFor:
      return "as configured";
    case InterfaceReason::kPeerElsewhere:
      return "its other end is in another network namespace";
    case InterfaceReason::kPodsAddress:
      return "the address of a pod of this node is routed to it";
    case InterfaceReason::kNetworkCard:
      return "a network card, or a bond or team of them";
    case InterfaceReason::kDefaultRoute:
      return "it has a default route";
    case InterfaceReason::kLoadBalancer:
      return "the kernel's route to a load balancer leads there";
    case InterfaceReason::kBridgePort:
      return "a port to the network of a bridge that is the way out";
    case InterfaceReason::kNodesAddress:
      break;
  }
  return "the node has an address of a subnet there, and no other way out is known";
}

std::map<std::uint32_t, SelectedInterface> select_interfaces(const NetworkView& view,
                                                             const InterfaceSelection& selection,
                                                             const InterfaceHints& hints) {
  const auto named = ways_to_pods(view, hints);
  const Reasons pods = find_pods(view, selection, named);
  Reasons uplinks;
  if (selection.uplink_globs.empty()) {
    uplinks = find_uplinks(view, hints, pods, named);
  } else {
    for (const auto& [ifindex, interface] : view.interfaces) {
      if (!interface.loopback && matches(selection.uplink_globs, interface.name)) {
        uplinks.emplace(ifindex, InterfaceReason::kAskedFor);
      }
    }
  }
  Selected selected;
  for (const auto& [ifindex, reason] : uplinks) {
    selected.emplace(ifindex, SelectedInterface{.role = InterfaceRole::kUplink, .reason = reason});
  }
  for (const auto& [ifindex, reason] : pods) {
    selected.emplace(ifindex, SelectedInterface{.role = InterfaceRole::kPod, .reason = reason});
  }
  return selected;
}

std::vector<std::string> describe(const std::map<std::uint32_t, SelectedInterface>& selected, const NetworkView& view) {
  std::map<std::pair<InterfaceRole, InterfaceReason>, std::string> names;
  for (const auto& [ifindex, chosen] : selected) {
    std::string& list = names[{chosen.role, chosen.reason}];
    list += (list.empty() ? "" : ", ") + view.interfaces.at(ifindex).name;
  }
  std::vector<std::string> lines;
  lines.reserve(names.size());
  for (const auto& [group, list] : names) {
    lines.push_back(std::string(to_string(group.first)) + " " + list + ": " + std::string(to_string(group.second)));
  }
  return lines;
}

std::vector<std::string> unmatched_globs(const NetworkView& view, const InterfaceSelection& selection) {
  std::vector<std::string> unmatched;
  for (const auto* const globs : {&selection.pod_globs, &selection.uplink_globs}) {
    for (const std::string& glob : *globs) {
      if (std::ranges::none_of(view.interfaces,
                               [&](const auto& entry) { return matches({glob}, entry.second.name); })) {
        unmatched.push_back(glob);
      }
    }
  }
  return unmatched;
}

}  // namespace hairpind
