// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <set>

#include "hairpind/bpf/program_variables.hpp"
#include "hairpind/bpf/programs.hpp"
#include "hairpind/core/unused_rows.hpp"

namespace hairpind {

/// Gives rows of the kernel's counters back that nobody uses any more.
///
/// Owns: which rows have been quiet for how long. Called by: the event loop. Never makes a row: the kernel side does.
class LoadBalancerRows {
 public:
  /// The programs outlive it; the accounts are theirs.
  LoadBalancerRows(const Programs& programs, ProgramVariables::Accounts accounts,
                   std::chrono::nanoseconds handshake_timeout);

  /// A second or more after the last time. The error is of a map that cannot be read.
  Result<void> look(const std::set<Frontend>& watched, SinceBoot now);

 private:
  const Programs& programs_;
  ProgramVariables::Accounts accounts_;
  UnusedRows unused_;
};

}  // namespace hairpind
