// SPDX-License-Identifier: Apache-2.0
#include "command_line.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "hairpind/core/printable.hpp"

namespace hairpind {

std::optional<int> read_arguments(CLI::App& app, const std::vector<std::string>& arguments) {
  constexpr int kHelped = 0;
  constexpr int kAskedWrongly = 2;
  try {
    // CLI11 takes the vector from its back.
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return kHelped;
  } catch (const CLI::Error& error) {
    std::fprintf(stderr, "hairpind: %s\n",
                 printable(std::string(error.what()) + "; see '" + app.get_name() + " --help'").c_str());
    return kAskedWrongly;
  }
  return std::nullopt;
}

}  // namespace hairpind
