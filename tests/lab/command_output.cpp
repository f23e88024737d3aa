// SPDX-License-Identifier: Apache-2.0
#include "command_output.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstddef>
#include <cstdio>

namespace hairpind::testing {

CommandOutput output_of(const std::string& command) {
  CommandOutput output;
  FILE* const pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr) << command;
  if (pipe == nullptr) {
    return output;
  }
  std::array<char, 4096> piece{};
  while (const std::size_t bytes = fread(piece.data(), 1, piece.size(), pipe)) {
    output.text.append(piece.data(), bytes);
  }
  output.status = WEXITSTATUS(pclose(pipe));
  return output;
}

}  // namespace hairpind::testing
