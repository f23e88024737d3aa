// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "hairpind/bpf/counter_reader.hpp"
#include "hairpind/core/alert.hpp"
#include "hairpind/core/cluster.hpp"

namespace hairpind {

/// Looks for pods that call a load balancer while a backend of it runs beside them, before anything fails.
///
/// Owns: which Services it has told of, each once while it lasts. Called by: the event loop. Never reads counts or
/// names itself; its alerts are the caller's to write.
class ExposureWatch {
 public:
  explicit ExposureWatch(std::string node) : node_(std::move(node)) {}

  /// What there is to tell. An incident whose SYN came back with its source kept proves that its load balancer keeps
  /// addresses.
  [[nodiscard]] std::vector<Alert> look(const std::vector<Caller>& callers, const std::vector<IncidentCount>& incidents,
                                        const Cluster& cluster, MonotonicTime now, WallTime wall);
  /// By Service, as of the last look; beyond 200 of them under "other".
  [[nodiscard]] const std::map<std::string, std::uint64_t>& pairs() const { return pairs_; }

 private:
  std::string node_;
  std::set<std::string> told_;  ///< Services that are still there
  std::map<std::string, std::uint64_t> pairs_;
};

}  // namespace hairpind
