// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/conntrack.hpp"

namespace hairpind {

ConntrackQuery ConntrackQuery::of(const Attempt& attempt) {
  return {.client = attempt.client,
          .load_balancer = attempt.load_balancer,
          .responder = attempt.synack_sent.empty() ? attempt.responder : attempt.synack_sent};
}

}  // namespace hairpind
