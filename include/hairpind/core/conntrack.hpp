// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hairpind/core/event.hpp"

namespace hairpind {

/// S5: did this node itself translate client -> load balancer into the responder? Asked of a conntrack table.
struct ConntrackQuery {
  Endpoint client;
  Endpoint load_balancer;
  Endpoint responder;  ///< whose SYN-ACK it was, as it left the target

  static ConntrackQuery of(const Attempt& attempt);
};

struct ConntrackAnswer {
  Conntrack conntrack = Conntrack::kUnchecked;
  ConntrackSource source = ConntrackSource::kNone;

  bool operator==(const ConntrackAnswer&) const = default;
};

}  // namespace hairpind
