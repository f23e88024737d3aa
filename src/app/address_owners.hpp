// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <vector>

#include "fault.hpp"
#include "hairpind/bpf/owner_table.hpp"
#include "hairpind/core/incident_tracker.hpp"
#include "hairpind/net/cilium_endpoints.hpp"

namespace hairpind {

/// Tells the kernel side whose addresses are whose: by Cilium's endpoints, which say by which device each pod is; else
/// by the API server's pods, which say that it is here.
///
/// Owns: what is known of it. Called by: the event loop. Says in the log what it reads.
class AddressOwners {
 public:
  /// `roots`: bpffs mounts on which Cilium may pin its maps.
  AddressOwners(OwnerTable& table, std::vector<std::string> roots) : table_(table), endpoints_(std::move(roots)) {}

  /// The addresses of this node's pods, as the API server has them.
  void set_pods(std::set<IpAddress> pods);
  /// A device has come or gone: what Cilium has, too, now or within the next seconds.
  void on_devices_changed() { soon_ = kLooksAfterChange; }
  /// Once a second: follows Cilium's map as it comes, goes and is replaced, and reads it when something may have
  /// changed, else every ten seconds.
  void refresh(SinceBoot now);

 private:
  static constexpr int kLooksAfterChange = 5;

  bool look_at_pin();
  void read_endpoints();
  void tell();

  OwnerTable& table_;
  CiliumEndpoints endpoints_;
  EndpointDevices devices_;   ///< as read last
  std::set<IpAddress> pods_;  ///< the API server's
  int soon_ = 0;              ///< how many of the next turns look
  SinceBoot looked_{};
  Fault reading_;
  Fault telling_;
};

}  // namespace hairpind
