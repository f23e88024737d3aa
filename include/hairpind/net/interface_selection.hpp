// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "hairpind/net/network_view.hpp"

namespace hairpind {

enum class InterfaceRole : std::uint8_t { kPod, kUplink };

/// Shell globs (fnmatch(3)) on device names that replace discovery; empty = discover.
struct InterfaceSelection {
  std::vector<std::string> pod_globs;
  std::vector<std::string> uplink_globs;
};

/// Which devices to watch, and as what. Found by themselves: uplinks have a default route; pods' devices are veth
/// or netkit with their other end in another network namespace. Being an uplink wins, unless router advertisements are
/// all that says so of a device that looks like a pod's, whose pod may have sent them. Of a bridge that is the uplink,
/// those ports are watched that are not pods': what passes between ports never passes the bridge's own device.
std::map<std::uint32_t, InterfaceRole> select_interfaces(const NetworkView& view, const InterfaceSelection& selection);

/// Globs of the selection that match no device now.
std::vector<std::string> unmatched_globs(const NetworkView& view, const InterfaceSelection& selection);

}  // namespace hairpind
