// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hairpind/core/address.hpp"

namespace hairpind::testing {

/// What one packet through one program gave.
struct RunResult {
  int verdict = 0;
  bool unchanged = false;  ///< the packet came out as it went in
  double nanoseconds = 0;  ///< average over the repetitions
};

/// Runs a TC program over a packet with BPF_PROG_TEST_RUN, as if received on (or sent by) `ifindex`; the node has it
/// from `ingress_ifindex`, 0 for its own. Aborts with a message if the kernel refuses.
RunResult run_program(int program_fd, const std::vector<std::uint8_t>& packet, std::uint32_t ifindex, int repeat = 1,
                      std::uint32_t ingress_ifindex = 0);

/// Moves the process into a network namespace of its own, gone with the process, that looks like a node:
/// pods 10.0.1.10 and fd00:1::10 on pod1, 10.0.1.20 and fd00:1::20 on pod2, bridge port pods br1 and br2 of
/// cni0 (10.0.3.0/24), node 10.0.0.4 and fd00::4 on uplink eth0 with the default routes. Returns why not, or
/// an empty string.
std::string enter_node_namespace();
std::uint32_t ifindex_of(const std::string& device);

/// Adds the conntrack entry client -> frontend whose replies come from `reply_source`.
void add_conntrack_entry(const Endpoint& client, const Endpoint& frontend, const Endpoint& reply_source);

}  // namespace hairpind::testing
