// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "address_owners.hpp"
#include "attachments.hpp"
#include "configuration.hpp"
#include "event_loop.hpp"
#include "hairpind/bpf/kernel_side.hpp"
#include "hairpind/net/interface_monitor.hpp"
#include "hairpind/net/route_lookup.hpp"
#include "load_balancer_routes.hpp"
#include "status_board.hpp"

namespace hairpind {

/// The node's devices: from what rtnetlink tells to what is attached, who is beside it there, and whose addresses lie
/// behind them.
///
/// Owns: rtnetlink's lists, the roles that are chosen from them, and the parts that act on these. Called by: the event
/// loop, to which it posts its longer work. Never judges a packet.
class NodeDevices {
 public:
  /// `kernel`, `loop` and `board` outlive it. Nothing is attached yet.
  static Result<std::unique_ptr<NodeDevices>> create(const Configuration& configuration, KernelSide& kernel,
                                                     EventLoop& loop, StatusBoard& board);
  NodeDevices(const NodeDevices&) = delete;
  NodeDevices& operator=(const NodeDevices&) = delete;

  /// Attaches to what is there, a device a turn; `all_attached` is called once, when none waits any more.
  void begin(const std::set<IpAddress>& load_balancers, std::function<void()> all_attached);
  /// Has rtnetlink's news when it is readable.
  [[nodiscard]] int fd() const { return monitor_.fd(); }
  void on_network();
  /// Once a second. `beside_cilium`: its programs translate behind ours, whatever is seen on the device itself.
  void on_turn(bool beside_cilium);
  /// Now and then: whose programs come before ours and may hide packets; who forges, and who crowds others out.
  void look_at_neighbours();

  /// The load balancers that are watched for: the way to one may be a way in that nothing else names.
  void set_load_balancers(const std::set<IpAddress>& addresses);
  /// The addresses of this node's pods, as the API server has them.
  void set_pods(std::set<IpAddress> pods);

  /// Takes everything off, and says how long that took.
  void detach();

  [[nodiscard]] AttachStatus status() const { return attachments_.status(); }
  [[nodiscard]] std::optional<std::string> name(std::uint32_t ifindex) const;
  /// The addresses that pods have beside those they are known by: see hairpind::further_addresses().
  [[nodiscard]] std::map<IpAddress, IpAddress> further_addresses() const {
    return hairpind::further_addresses(monitor_.view(), hints_.pods);
  }
  /// A line for each role and reason, with the devices' names.
  [[nodiscard]] std::vector<std::string> roles() const { return attachments_.roles(monitor_.view()); }

 private:
  NodeDevices(const Configuration& configuration, KernelSide& kernel, EventLoop& loop, StatusBoard& board,
              InterfaceMonitor monitor, RouteLookup route_lookup);
  void choose();
  void attach_waiting();
  void look_behind();

  KernelSide& kernel_;
  EventLoop& loop_;
  StatusBoard& board_;
  InterfaceMonitor monitor_;
  RouteLookup route_lookup_;
  LoadBalancerRoutes routes_;
  InterfaceHints hints_;  ///< by which the devices were chosen last
  Attachments attachments_;
  AddressOwners owners_;
  std::function<void()> all_attached_;  ///< empty once called
  bool step_posted_ = false;
  bool unknown_ = false;  ///< the last look at rtnetlink's news has failed
  bool beside_cilium_ = false;
};

}  // namespace hairpind
