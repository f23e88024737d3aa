// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/interface_selection.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <set>

namespace hairpind {
namespace {

bool matches(const std::vector<std::string>& globs, const std::string& name) {
  return std::ranges::any_of(globs,
                             [&](const std::string& glob) { return fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

bool is_pod_interface(const NetworkInterface& interface) {
  return (interface.kind == "veth" || interface.kind == "netkit") && interface.peer_in_other_namespace;
}

using Selected = std::map<std::uint32_t, InterfaceRole>;

// Only where another way out is left: a node that is a container itself may have but one, and by advertisement.
void drop_what_pods_may_announce(std::set<std::uint32_t>& uplinks, const NetworkView& view, const Selected& pods) {
  const auto doubtful = [&](std::uint32_t ifindex) {
    return pods.contains(ifindex) && view.interfaces.at(ifindex).default_route_announced;
  };
  if (!std::ranges::all_of(uplinks, doubtful)) {
    std::erase_if(uplinks, doubtful);
  }
}

void put_ports_for_bridges(std::set<std::uint32_t>& uplinks, const NetworkView& view, const Selected& pods) {
  std::set<std::uint32_t> bridges;
  std::set<std::uint32_t> ports;
  for (const auto& [ifindex, interface] : view.interfaces) {
    const std::uint32_t master = interface.master_ifindex;
    const auto bridge = view.interfaces.find(master);
    if (uplinks.contains(master) && bridge->second.kind == "bridge" && !pods.contains(ifindex)) {
      bridges.insert(master);
      ports.insert(ifindex);
    }
  }
  std::erase_if(uplinks, [&](std::uint32_t ifindex) { return bridges.contains(ifindex); });
  uplinks.merge(ports);
}

}  // namespace

std::map<std::uint32_t, InterfaceRole> select_interfaces(const NetworkView& view, const InterfaceSelection& selection) {
  std::map<std::uint32_t, InterfaceRole> selected;
  for (const auto& [ifindex, interface] : view.interfaces) {
    const bool pod =
        selection.pod_globs.empty() ? is_pod_interface(interface) : matches(selection.pod_globs, interface.name);
    if (pod && !interface.loopback) {
      selected.emplace(ifindex, InterfaceRole::kPod);
    }
  }
  std::set<std::uint32_t> uplinks;
  for (const auto& [ifindex, interface] : view.interfaces) {
    if (!interface.loopback && (selection.uplink_globs.empty() ? interface.has_default_route
                                                               : matches(selection.uplink_globs, interface.name))) {
      uplinks.insert(ifindex);
    }
  }
  if (selection.uplink_globs.empty()) {
    drop_what_pods_may_announce(uplinks, view, selected);
    put_ports_for_bridges(uplinks, view, selected);
  }
  for (const std::uint32_t ifindex : uplinks) {
    selected.insert_or_assign(ifindex, InterfaceRole::kUplink);
  }
  return selected;
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
