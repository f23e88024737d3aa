// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "hairpind/core/conntrack.hpp"
#include "hairpind/core/error.hpp"

struct mnl_socket;

namespace hairpind {

/// netfilter's conntrack table of this network namespace, asked by netlink (nfnetlink, needs CAP_NET_ADMIN).
class Ctnetlink {
 public:
  /// Finds the entry client -> load balancer, in the default zone: is the source of its replies the responder?
  /// kNoEntry only where the kernel said so. Where nf_conntrack is not loaded the answer is kUnchecked, and the
  /// kernel is not asked: the question would load it. A socket of its own for each question, so that what is left of
  /// one that failed is never taken for the next one's answer.
  static Result<Conntrack> lookup(const ConntrackQuery& query);
};

}  // namespace hairpind
