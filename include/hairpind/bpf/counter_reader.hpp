// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hairpind/abi.h"
#include "hairpind/core/error.hpp"
#include "hairpind/core/event.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/core/incident_tracker.hpp"
#include "hairpind/core/load_balancer_counters.hpp"

namespace hairpind {

/// A local client that has sent a SYN to a load balancer.
struct Caller {
  IpAddress client;
  Endpoint load_balancer;
  SinceBoot last{};
};

/// Reads what the kernel side counts.
///
/// Owns: file descriptors of the maps, its own. Called by: any thread, the HTTP server's among them; nothing in it
/// changes after open(), and each call makes system calls only. Never writes to a map.
class CounterReader {
 public:
  /// The maps of a loaded object, and where in its .bss the number of load balancers in the table is.
  struct Maps {
    int totals = -1;
    int load_balancers = -1;
    int incidents = -1;
    int callers = -1;
    int bss = -1;
    std::size_t load_balancer_count_offset = 0;
  };
  /// Duplicates the descriptors: they need not outlive this call.
  static Result<CounterReader> open(const Maps& maps);

  /// Those that have been called, and the empty endpoint.
  [[nodiscard]] Result<std::vector<LoadBalancerCounters>> read_load_balancers() const;
  [[nodiscard]] Result<std::vector<IncidentCount>> read_incidents() const;
  [[nodiscard]] std::optional<std::uint64_t> read_incident_count(const IncidentKey& key) const;
  /// Which local clients have called which load balancer since the agent started.
  [[nodiscard]] Result<std::vector<Caller>> read_callers() const;
  /// Sums over the CPUs, by enum hp_total.
  [[nodiscard]] std::array<std::uint64_t, HP_TOTAL_COUNT> read_totals() const;

 private:
  CounterReader() = default;

  FileDescriptor totals_;
  FileDescriptor load_balancers_;
  FileDescriptor incidents_;
  FileDescriptor callers_;
  FileDescriptor bss_;
  std::size_t count_offset_ = 0;
  std::size_t bss_size_ = 0;
};

/// One entry of `incidents`; nothing for one that is not whole yet, or is of a cause that this build does not know.
std::optional<IncidentCount> decode_incident(const hp_incident_key& key, const hp_incident& incident);
/// The rows of `load_balancers` that have a name, and the first, which collects what does not fit.
std::vector<LoadBalancerCounters> decode_load_balancers(std::span<const hp_lb_counters> rows);

}  // namespace hairpind
