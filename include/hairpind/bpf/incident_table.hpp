// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hairpind/bpf/program_variables.hpp"
#include "hairpind/core/incident_tracker.hpp"

namespace hairpind {

/// The kernel's table of incidents, which is bounded: an incident that is forgotten makes room for another.
///
/// Owns: nothing: the table is the object's. Called by: the event loop. Never adds to it: the kernel side does.
class IncidentTable {
 public:
  IncidentTable(int map_fd, ProgramVariables::Accounts accounts) : map_fd_(map_fd), accounts_(accounts) {}

  /// Removes it, so that its count starts over, and gives its place back to whom it was counted for.
  void forget(const IncidentKey& key) const;

 private:
  int map_fd_;
  ProgramVariables::Accounts accounts_;
};

}  // namespace hairpind
