// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "hairpind/core/conntrack.hpp"
#include "hairpind/core/error.hpp"

struct mnl_socket;

namespace hairpind {

/// netfilter's conntrack table of this network namespace, asked by netlink (nfnetlink, needs CAP_NET_ADMIN).
///
/// Not thread safe; owned by the event loop.
class Ctnetlink {
 public:
  /// Finds the entry client -> load balancer, in the default zone: is the source of its replies the responder?
  /// kNoEntry only where the kernel said so. Where nf_conntrack is not loaded the answer is kUnchecked, and the
  /// kernel is not asked: the question would load it. Opened at the first call that needs it.
  Result<Conntrack> lookup(const ConntrackQuery& query);

 private:
  struct SocketDeleter {
    void operator()(mnl_socket* socket) const;
  };

  Result<void> open();

  std::unique_ptr<mnl_socket, SocketDeleter> socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace hairpind
