// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/event.hpp"
#include "hairpind/core/frontend.hpp"

namespace hairpind {

/// Why a load balancer's counters have a row of the kernel's table.
enum class RowUse : std::uint8_t {
  kListed,   ///< its address and port are watched for
  kCovered,  ///< an address without a port, or a prefix, stands for it
  kNone,     ///< it is not watched for any more
};

RowUse use_of(const Endpoint& load_balancer, const std::set<Frontend>& watched);

/// Finds the rows of the kernel's counters that are given back, so that neither Services long gone nor ports that
/// somebody has tried once keep the table full.
///
/// A row is hidden first, so that no new attempt finds it, and given back at the next look if nothing has changed
/// since: an attempt that refers to it would have. Listed load balancers keep theirs. Pure; not thread safe.
class UnusedRows {
 public:
  struct Options {
    /// For how long an attempt may refer to a row and say nothing: the kernel's retransmit window and the settle time.
    std::chrono::nanoseconds rest{};
    std::chrono::nanoseconds covered =
        std::chrono::hours(1);  ///< for how long a covered one stays for its series' sake
    std::size_t crowded = 0;    ///< with more covered rows than this they rest only
  };
  struct Row {
    std::uint32_t index = 0;
    Endpoint load_balancer;
    std::uint64_t activity = 0;  ///< changes whenever something is counted

    bool operator==(const Row&) const = default;
  };
  struct Turn {
    std::vector<Row> hide;
    std::vector<Row> show;  ///< used after all
    std::vector<Row> give_back;
  };

  explicit UnusedRows(Options options) : options_(options) {}

  /// All rows with a name. To be called a second or more after the last time.
  Turn look(const std::vector<Row>& rows, const std::function<RowUse(const Endpoint&)>& use, SinceBoot now);

 private:
  struct Seen {
    Row row;
    SinceBoot since{};
    bool hidden = false;
  };

  Options options_;
  std::map<std::uint32_t, Seen> seen_;
};

}  // namespace hairpind
