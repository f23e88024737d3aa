// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "hairpind/core/kubernetes.hpp"

namespace hairpind {

/// The Services that a set of manifest files declares.
struct Manifests {
  std::vector<Service> services;
  std::vector<std::string> notes;   ///< documents passed over, and why; for a person
  std::vector<std::string> errors;  ///< files that could not be read or parsed
};

/// Takes the Services out of one file's text; `name` is what notes and errors call it.
void read_manifest(const std::string& text, const std::string& name, Manifests& into);

/// Reads YAML and JSON files, several documents in one, Lists taken apart; of a directory, all *.yaml, *.yml and
/// *.json below it. "-" is the standard input. Whatever cannot be read is noted, and the rest read on.
Manifests read_manifests(const std::vector<std::string>& paths);

}  // namespace hairpind
