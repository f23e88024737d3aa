// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "hairpind/core/error.hpp"
#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {

/// Claims this network namespace for one agent, as long as the result lives: two would take each other's filters for
/// leftovers, and neither would say so. Fails where another has it. `name` is that of an abstract socket, which the
/// kernel keeps apart by network namespace and takes back from a process that is gone.
Result<FileDescriptor> claim_node(const std::string& name = "hairpind");

}  // namespace hairpind
