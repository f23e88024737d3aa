// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "hairpind/explain/cluster_state.hpp"

namespace hairpind {

/// A column of the ladder.
struct Participant {
  std::string role;  ///< client, target, node, load balancer
  std::string name;  ///< pod or Service, empty where not known
  std::string address;
};

/// A packet between two columns, or (from equals to) something that happened at one.
struct Step {
  std::optional<WallTime> time;                    ///< of a packet that was captured
  std::optional<std::chrono::nanoseconds> offset;  ///< since its attempt's first packet
  std::size_t from = 0;
  std::size_t to = 0;
  std::string label;  ///< "SYN seq=1451877577"
  std::string where;  ///< "from_pod at veth1"
  std::string meaning;
  std::string instead;  ///< what should have happened; empty where this is as it should be
  bool new_attempt = false;
};

/// What happened in one incident, and what should have.
struct Ladder {
  std::vector<Participant> participants;  ///< from left to right
  std::vector<Step> steps;
  std::vector<Step> expected;
  bool captured = false;  ///< the steps are packets; else they are told from the alert's own evidence
};

Ladder ladder_of(const ToldIncident& incident);

/// Of a captured packet, for a person: "SYN leaves the client for the load balancer".
std::string meaning_of(const ToldIncident& incident, const ToldPacket& packet);

}  // namespace hairpind
