// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <set>

#include "hairpind/bpf/datapath.hpp"
#include "hairpind/core/unused_rows.hpp"

namespace hairpind {

/// Gives rows of the kernel's counters back that nobody uses any more.
///
/// Owns: which rows have been quiet for how long. Called by: the event loop. Never makes a row: the kernel side does.
class LoadBalancerRows {
 public:
  /// `datapath` outlives it.
  LoadBalancerRows(const Datapath& datapath, std::chrono::nanoseconds handshake_timeout);

  /// A second or more after the last time. The error is of a map that cannot be read.
  Result<void> look(const std::set<Frontend>& watched, MonotonicTime now);

 private:
  const Datapath& datapath_;
  UnusedRows unused_;
};

}  // namespace hairpind
