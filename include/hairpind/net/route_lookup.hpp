// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <set>

#include "hairpind/core/address.hpp"
#include "hairpind/core/error.hpp"

struct mnl_socket;

namespace hairpind {

/// Asks the kernel by which devices it would reach an address (rtnetlink(7), RTM_GETROUTE), as it would for the node's
/// own packets: policy rules and all tables count.
///
/// Owns: a socket. Called by: the event loop. Waits for the kernel's answer, which takes microseconds.
class RouteLookup {
 public:
  static Result<RouteLookup> create();

  /// All next hops' devices; none where there is no route. What a router advertisement has led there does not count:
  /// a pod may have sent it.
  Result<std::set<std::uint32_t>> devices_to(const IpAddress& address);

 private:
  struct SocketDeleter {
    void operator()(mnl_socket* socket) const;
  };
  using Socket = std::unique_ptr<mnl_socket, SocketDeleter>;

  explicit RouteLookup(Socket socket) : socket_(std::move(socket)) {}

  Socket socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace hairpind
