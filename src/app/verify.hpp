// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hairpind/core/verification.hpp"

namespace hairpind {

/// What the agent on this node has counted, of all clients here, while the connections were tried.
struct AgentsView {
  std::uint64_t answered = 0;
  std::uint64_t mismatched = 0;
  std::uint64_t same_node_answered = 0;
  std::string state;  ///< of the load balancer's problem now; empty: it has not failed
};

/// From two answers of /v1/status, of the load balancers that were tried; nullopt where the agent has counted nothing
/// of them.
std::optional<AgentsView> agents_view(const std::string& before, const std::string& after,
                                      const std::vector<Endpoint>& load_balancers);

/// What `hairpind verify` was asked, and what it found.
struct VerifyReport {
  std::string load_balancer;  ///< as it was given, with the port
  std::vector<TriedHandshake> tried;
  std::optional<AgentsView> agent;       ///< if there is one on this node
  std::optional<std::uint64_t> targets;  ///< that the load balancer picks from, where that was said
};

/// Lines for a person. Ends with a newline.
std::string render_verification(const VerifyReport& report);
/// One line of JSON, without the newline.
std::string verification_json(const VerifyReport& report);

/// `hairpind verify`: a plain TCP client, without any right. Returns the exit status: 0 all answered, 1 not, 2 for what
/// could not be tried.
int run_verify(const std::vector<std::string>& arguments);

}  // namespace hairpind
