// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace hairpind {

/// Reads the arguments into the options of `app`, which is named as it is called ("hairpind audit"). The exit status if
/// that is all that there is to do: help is printed, 0; what cannot be read is said on stderr, 2.
std::optional<int> read_arguments(CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace hairpind
