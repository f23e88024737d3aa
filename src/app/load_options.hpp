// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "configuration.hpp"
#include "hairpind/bpf/programs.hpp"

namespace hairpind {

/// What the programs are loaded with, by `run` and by `check` alike: the verifier cuts out what the options turn off.
Programs::Options load_options(const Configuration& configuration, ResetSensor reset_sensor);

}  // namespace hairpind
