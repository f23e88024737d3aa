// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <set>

#include "hairpind/core/error.hpp"
#include "hairpind/net/network_view.hpp"

struct mnl_socket;

namespace hairpind {

/// Follows devices, addresses and default routes by rtnetlink. Subscribes before it asks, so that nothing is
/// missed in between, and asks again for everything when the kernel says that messages were lost.
///
/// Not thread safe; owned by the event loop.
class InterfaceMonitor {
 public:
  /// The view is complete when this returns.
  static Result<InterfaceMonitor> create();

  /// Becomes readable when something may have changed.
  [[nodiscard]] int fd() const;
  /// Takes in all that waits, without blocking; true if the view changed. After an error the view is the last
  /// good one, and the next call asks the kernel for everything.
  Result<bool> process();
  [[nodiscard]] const NetworkView& view() const { return view_; }
  /// The devices on which a TC filter has come or gone, or may have, since the last call.
  std::set<std::uint32_t> take_filters_changed();
  /// Whether a route or a rule has come or gone, or may have, since the last call.
  bool take_routes_changed();

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

}  // namespace hairpind
