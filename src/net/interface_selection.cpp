// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/interface_selection.hpp"

#include <fnmatch.h>

#include <algorithm>

namespace hairpind {
namespace {

bool matches(const std::vector<std::string>& globs, const std::string& name) {
  return std::ranges::any_of(globs,
                             [&](const std::string& glob) { return fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

bool is_pod_interface(const NetworkInterface& interface) {
  return (interface.kind == "veth" || interface.kind == "netkit") && interface.peer_in_other_namespace;
}

}  // namespace

std::map<std::uint32_t, InterfaceRole> select_interfaces(const NetworkView& view, const InterfaceSelection& selection) {
  std::map<std::uint32_t, InterfaceRole> selected;
  for (const auto& [ifindex, interface] : view.interfaces) {
    if (interface.loopback) {
      continue;
    }
    const bool uplink =
        selection.uplink_globs.empty() ? interface.has_default_route : matches(selection.uplink_globs, interface.name);
    const bool pod =
        selection.pod_globs.empty() ? is_pod_interface(interface) : matches(selection.pod_globs, interface.name);
    if (uplink || pod) {
      selected.emplace(ifindex, uplink ? InterfaceRole::kUplink : InterfaceRole::kPod);
    }
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
