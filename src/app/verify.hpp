// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hairpind/core/verification.hpp"

namespace hairpind {

/// What `hairpind verify` was asked, and what it found.
struct VerifyReport {
  std::string load_balancer;  ///< as it was given, with the port
  std::vector<TriedHandshake> tried;
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
