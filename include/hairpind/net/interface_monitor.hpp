// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/error.hpp"

struct mnl_socket;

namespace hairpind {

/// One network device of this namespace, as rtnetlink(7) describes it.
struct NetworkInterface {
  std::uint32_t ifindex = 0;
  std::string name;
  std::string kind;                      ///< IFLA_INFO_KIND: "veth", "netkit", "bridge"; empty for hardware
  std::uint32_t master_ifindex = 0;      ///< bridge, bond or VRF it belongs to, 0 if none
  bool peer_in_other_namespace = false;  ///< IFLA_LINK_NETNSID
  bool has_default_route = false;        ///< in any table, either family
  bool loopback = false;

  bool operator==(const NetworkInterface&) const = default;
};

/// What this network namespace looks like.
struct NetworkView {
  std::map<std::uint32_t, NetworkInterface> interfaces;  ///< by ifindex
  std::set<IpAddress> addresses;                         ///< the node's own, link-local IPv6 left out

  bool operator==(const NetworkView&) const = default;
};

/// The monitor's own bookkeeping: the view before it is put together.
struct NetworkState {
  std::map<std::uint32_t, NetworkInterface> interfaces;
  std::set<std::pair<std::uint32_t, IpAddress>> addresses;  ///< an address may be on several devices
  std::set<std::uint32_t> default_routes;                   ///< ifindexes
  bool routes_stale = false;                                ///< a default route may have come or gone
  std::set<std::uint32_t> filters_changed;                  ///< ifindexes
};

/// Follows devices, addresses and default routes by rtnetlink. Subscribes before it asks, so that nothing is
/// missed in between, and asks again for everything when the kernel says that messages were lost.
///
/// Not thread safe; owned by the event loop.
class InterfaceMonitor {
 public:
  /// The view is complete when this returns. `follow_filters`: take_filters_changed() is wanted.
  static Result<InterfaceMonitor> create(bool follow_filters);

  /// Becomes readable when something may have changed.
  [[nodiscard]] int fd() const;
  /// Takes in all that waits, without blocking; true if the view changed. After an error the view is the last
  /// good one, and the next call asks the kernel for everything.
  Result<bool> process();
  [[nodiscard]] const NetworkView& view() const { return view_; }
  /// The devices on which a TC filter has come or gone, or may have, since the last call.
  std::set<std::uint32_t> take_filters_changed();

 private:
  struct SocketDeleter {
    void operator()(mnl_socket* socket) const;
  };
  using Socket = std::unique_ptr<mnl_socket, SocketDeleter>;

  explicit InterfaceMonitor(Socket notifications);
  Result<void> resync();
  bool update_view();

  Socket notifications_;
  NetworkState state_;
  bool stale_ = true;  ///< messages were lost: state_ is to be read anew
  NetworkView view_;
};

enum class InterfaceRole : std::uint8_t { kPod, kUplink };

/// Shell globs (fnmatch(3)) on device names that replace discovery; empty = discover.
struct InterfaceSelection {
  std::vector<std::string> pod_globs;
  std::vector<std::string> uplink_globs;
};

/// Which devices to watch, and as what. Found by themselves: uplinks have a default route; pods' devices are veth
/// or netkit with their other end in another network namespace. Being an uplink wins.
std::map<std::uint32_t, InterfaceRole> select_interfaces(const NetworkView& view, const InterfaceSelection& selection);

/// Globs of the selection that match no device now.
std::vector<std::string> unmatched_globs(const NetworkView& view, const InterfaceSelection& selection);

}  // namespace hairpind
