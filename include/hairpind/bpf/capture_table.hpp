// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <utility>

#include "hairpind/bpf/bpf_map.hpp"
#include "hairpind/core/captured_packet.hpp"
#include "hairpind/core/error.hpp"

namespace hairpind {

/// Of whose next attempts the kernel side copies the packets (abi.h, `captures`).
///
/// Owns: the kernel's map `captures`, but for what its programs take off. Called by: the event loop.
class CaptureTable {
 public:
  /// What it needs of the kernel, which outlives the table.
  struct Kernel {
    BpfMap& captures;
    std::function<void(std::uint32_t entries)> set_armed;
  };
  explicit CaptureTable(Kernel kernel) : kernel_(std::move(kernel)) {}

  /// From now on so many of the pair's next attempts; 0: none.
  Result<void> set(const CallingPair& pair, std::uint32_t attempts);

 private:
  Kernel kernel_;
  std::set<CallingPair> pairs_;
};

}  // namespace hairpind
