// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace hairpind {

/// `hairpind explain`: reads alert lines from files or standard input and says what they come to. Result on stdout,
/// what could not be taken on stderr. Returns the exit status: 0, 1 if what was asked for is not in the lines, 2 for
/// wrong options or what could not be read.
int run_explain(const std::vector<std::string>& arguments);

}  // namespace hairpind
