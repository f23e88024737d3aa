// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace hairpind {

/// `hairpind audit`: which Services of type LoadBalancer will fail for clients that share a node with a backend.
/// Prints to stdout, notes and errors to stderr. Returns the exit status: 0 nothing at risk, 1 at risk (or unknown, if
/// asked to fail on that), 2 what could not be read, or nothing was.
int run_audit(const std::vector<std::string>& arguments);

}  // namespace hairpind
