// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>

#include "hairpind/bpf/bpf_map.hpp"
#include "hairpind/core/address.hpp"
#include "hairpind/core/error.hpp"

namespace hairpind {

/// Whose addresses are whose, as the kernel side has been told (abi.h, `owners`).
///
/// Owns: the kernel's map `owners`; it alone writes to it. Called by: the event loop.
class OwnerTable {
 public:
  /// The map outlives the table.
  explicit OwnerTable(BpfMap& owners) : owners_(owners) {}

  /// From now on these and no others: the pods' addresses, each with its device's ifindex, or 0. What finds no room is
  /// not known, and tried again in the next call; the error says so.
  Result<void> set(const std::map<IpAddress, std::uint32_t>& wanted);

 private:
  BpfMap& owners_;
  std::map<IpAddress, std::uint32_t> told_;
};

}  // namespace hairpind
