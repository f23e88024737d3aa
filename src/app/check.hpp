// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "configuration.hpp"
#include "hairpind/bpf/attached_program.hpp"
#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/bpf/programs.hpp"
#include "hairpind/core/error.hpp"
#include "least_rights.hpp"

namespace hairpind {

/// What became of loading the programs as `run` would.
struct Preflight {
  AttachMode attach_mode = AttachMode::kTcx;
  std::string conntrack;  ///< ConntrackBackends::describe()
  Result<LoadOutcome> loaded;
  std::vector<ProgramCost> costs;
  KernelMemory memory;
};

/// The devices that `run` would watch here, by role and reason, in lines; why not, if that cannot be told. Of load
/// balancers those count that are configured by address: what the API server and DNS add is not asked for.
std::vector<std::string> describe_devices(const Configuration& configuration);

/// Loads the programs as `run` would, and takes them off again: what a kernel offers in its type information it may
/// still refuse. Needs the rights that the agent needs.
Preflight try_loading(const Configuration& configuration, const KernelFeatures& features, AttachMode attach_mode,
                      ResetSensor reset_sensor);

/// What `hairpind check` prints: each feature, whether it is there, what is lost without it, and the mode the agent
/// would run in with which rights, or why it would not.
std::string render_check(const KernelFeatures& features, const std::string& kernel_release, const Preflight& preflight,
                         const RightsLeft& rights, const std::vector<std::string>& devices);

}  // namespace hairpind
