// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "hairpind/abi.h"
#include "hairpind/bpf/bpf_map.hpp"
#include "hairpind/core/frontend.hpp"

namespace hairpind {

/// The load balancers that the kernel side watches for.
///
/// Owns: which they are, and the kernel's maps `frontends` and `frontend_prefixes` and the filter in front of them; it
/// alone writes to these. Called by: the event loop. Never decides what is to be watched.
class FrontendTable {
 public:
  /// The kernel side's, which outlive the table. `filter`: HP_ADDRESS_FILTER_BITS bits.
  struct Maps {
    BpfMap& frontends;
    BpfMap& prefixes;
    std::span<__u64> filter;
  };
  explicit FrontendTable(Maps maps) : maps_(maps) {}

  /// What a change has not put in, for lack of room mostly, and the kernel's words for the first of them.
  struct Refused {
    std::vector<Frontend> frontends;
    std::string why;
  };
  /// Takes out, then puts in, so that what goes makes room for what comes. At a cost that does not depend on how many
  /// there are. What is to be added and is there already, or to be removed and is not, is ignored.
  [[nodiscard]] Refused change(std::span<const Frontend> added, std::span<const Frontend> removed);

  [[nodiscard]] const std::set<Frontend>& watched() const { return watched_; }

 private:
  Result<void> add(const Frontend& frontend);
  void remove(const Frontend& frontend);
  /// The address's own entry, which says whether its other ports count, as watched_ has it.
  Result<void> write_address(const IpAddress& address);
  void use_filter_bit(const Frontend& frontend);
  void leave_filter_bit(const Frontend& frontend);

  Maps maps_;
  std::set<Frontend> watched_;
  std::vector<std::uint32_t> filter_uses_ = std::vector<std::uint32_t>(HP_ADDRESS_FILTER_BITS);  ///< of each bit
};

}  // namespace hairpind
