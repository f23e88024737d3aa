// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace hairpind::testing {

/// What a command of the shell came to.
struct CommandOutput {
  int status = -1;   ///< as it exited
  std::string text;  ///< of its standard output
};

/// Runs it from the calling thread's namespace.
CommandOutput output_of(const std::string& command);

}  // namespace hairpind::testing
