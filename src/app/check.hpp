// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/bpf/tc_link.hpp"

namespace hairpind {

/// The table that `hairpind check` prints: each feature, whether it is there, what is lost without it, and the
/// mode the agent would run in. `conntrack`: ConntrackBackends::describe().
std::string render_check(const KernelFeatures& features, const std::string& kernel_release,
                         const std::string& conntrack, AttachMode attach_mode);

}  // namespace hairpind
