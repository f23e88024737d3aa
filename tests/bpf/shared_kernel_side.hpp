// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hairpind/bpf/kernel_side.hpp"

namespace hairpind::testing {

/// The programs loaded once for all tests of a process that want the default options, since the verifier takes most of
/// a test's time; once more without the conntrack kfunc where `features` lacks it. Each call hands them out as new:
/// nothing counted, nothing pending, no frontend. Aborts with the reason if they cannot be loaded.
KernelSide& fresh_kernel_side(const KernelFeatures& features);

}  // namespace hairpind::testing
