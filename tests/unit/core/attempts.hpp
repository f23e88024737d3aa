// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hairpind/core/event.hpp"
#include "hairpind/core/incident_tracker.hpp"

namespace hairpind::testing {

inline Endpoint endpoint(const char* address, std::uint16_t port) {
  return {.address = *IpAddress::parse(address), .port = port};
}

/// DESIGN's drawing: P1 -> LB, answered by P2.
inline Attempt ip_target_attempt(std::uint16_t client_port = 37762, std::uint32_t isn = 3788628418) {
  Attempt attempt;
  attempt.client = endpoint("10.0.1.10", client_port);
  attempt.isn = isn;
  attempt.load_balancer = endpoint("10.0.5.5", 443);
  attempt.returned = endpoint("10.0.1.20", 8443);
  attempt.synack_sent = endpoint("10.0.1.20", 8443);
  attempt.synack_delivered = endpoint("10.0.1.20", 8443);
  attempt.responder = endpoint("10.0.1.20", 8443);
  attempt.first_syn = SinceBoot(1'000'000'000);
  attempt.synack = SinceBoot(1'000'231'000);
  attempt.syn_ifindex = 1;
  attempt.synack_ifindex = 2;
  attempt.synack_ack = isn + 1;
  attempt.conntrack = Conntrack::kNotTranslated;
  attempt.conntrack_source = ConntrackSource::kKernel;
  attempt.cause = Cause::kHairpinIpTarget;
  attempt.responder_kind = ResponderKind::kLocalPod;
  return attempt;
}

}  // namespace hairpind::testing
