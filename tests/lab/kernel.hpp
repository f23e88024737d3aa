// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace hairpind::testing {

/// The running kernel's, as `uname -r` prints it.
std::string kernel_release();

/// Does the running kernel's BTF have SKB_DROP_REASON_<name>?
bool kernel_has_drop_reason(const std::string& name);

bool kernel_has_tcx();

/// What --attach can be given here: "tcx", where the kernel has it, and "clsact".
std::vector<std::string> attach_modes();

}  // namespace hairpind::testing
