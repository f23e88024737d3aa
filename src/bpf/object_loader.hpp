// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/bpf/programs.hpp"
#include "hairpind/core/error.hpp"

namespace hairpind {

struct LoadedObject {
  std::unique_ptr<handshake_bpf, SkeletonDeleter> skeleton;
  LoadOutcome outcome;
};

/// Opens the embedded object, sizes its maps, has the kernel verify and load what `features` and the options ask for,
/// and attaches the tracepoints or probes. What the kernel does not take and the agent can do without is left out and
/// told in the outcome; else the error names the program that was refused and the verifier's reason.
Result<LoadedObject> load_object(const Programs::Options& options, const KernelFeatures& features);

}  // namespace hairpind
