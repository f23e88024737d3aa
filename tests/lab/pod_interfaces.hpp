// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "network_lab.hpp"

namespace hairpind::testing {

/// Devices as a CNI makes them, many at once: veth "pod<number>" in the node, up, its other end in another namespace.
void add_pod_interfaces(const NetworkLab& lab, int first, int count);
/// All at once, as when their namespaces go: one by one the kernel takes its time over each.
void remove_pod_interfaces(const NetworkLab& lab, int first, int count);

}  // namespace hairpind::testing
