// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hairpind/bpf/attached_program.hpp"
#include "hairpind/bpf/hook.hpp"
#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/output/metrics.hpp"
#include "status_board.hpp"

namespace hairpind {

/// The counts of one moment, read from the kernel's maps.
struct KernelCounts {
  std::vector<LoadBalancerCounters> load_balancers;
  std::array<std::uint64_t, HP_TOTAL_COUNT> totals = {};

  static KernelCounts read(const CounterReader& counters);
};

/// All that /metrics tells: what the loop has published, and what the kernel has counted (null: nothing yet).
///
/// Called by the HTTP server's thread. Pure.
MetricsSnapshot metrics_of(const Status& status, const KernelCounts* counts, const KernelFeatures& features,
                           AttachMode attach_mode);

}  // namespace hairpind
