// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// Lines for a person, of what /v1/status said. Ends with a newline; an error if it is no such status.
Result<std::string> describe_status(const std::string& json);

/// `hairpind status`: asks this node's agent, and prints what it says. Returns the exit status: 0, 1 if it fails to
/// work or a load balancer's problem is active, 2 for what could not be asked.
int run_status(const std::vector<std::string>& arguments);

}  // namespace hairpind
