// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <memory>

namespace hairpind {

/// Has `app` read its --config as TOML 1.0 (https://toml.io/en/v1.0.0): each key is the long name of an option, its
/// value a text, a number, a boolean or a list of these. An empty list says nothing. What is wrong is thrown as
/// CLI::ConfigError, with its line, and an unknown key with the option nearest to it.
void read_config_as_toml(CLI::App& app);

}  // namespace hairpind
