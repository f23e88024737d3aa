// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "configuration.hpp"

namespace hairpind {

/// What is done after the start that takes a right of its own.
struct RightsNeeded {
  std::string alerts = "-";  ///< a file that is opened anew on SIGHUP; "-": none
  // NOLINTNEXTLINE(readability-redundant-member-init): g++ warns of designated initializers that leave it out
  std::vector<std::string> read_again{};  ///< a certificate and its key
  bool foreign_files = false;             ///< a kubeconfig's files are read again, whoever owns them
  bool programs = false;                  ///< a kubeconfig's plugin is run
};

/// Of an agent with these options.
RightsNeeded rights_needed(const Configuration& configuration);

/// What is left, for a person.
struct RightsLeft {
  std::vector<std::string> capabilities;  ///< "cap_bpf", in effect
  bool no_new_privs = false;              ///< nothing that is executed gets more
  bool calls_refused = false;             ///< system calls that only an intruder would make
  std::vector<std::string> lost;          ///< what could not be given up, and why: a line each, for the log
};

/// "rights after the start: cap_bpf, cap_net_admin; no_new_privs; ..."
std::string describe(const RightsLeft& left);

/// Gives up, for good, every right that the loaded agent does without: capabilities, more of them by what it executes
/// (no_new_privs), and the system calls that take over a machine. For the calling thread and all that it starts from
/// then on: before there are others.
///
/// To load programs and to attach to tracepoints takes more; what is kept is named, with its reason, in docs/design.md.
RightsLeft give_up_rights(const RightsNeeded& needed);

}  // namespace hairpind
