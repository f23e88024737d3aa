// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "hairpind/abi.h"
#include "hairpind/core/conntrack.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/event.hpp"

namespace hairpind {

class Programs;

/// Has the kernel side settle attempts: those that time decides, and those that conntrack does.
///
/// Owns: nothing of the kernel's. Called by: the event loop, which says when. Never decides anything itself.
class AttemptSettler {
 public:
  /// What it needs of the kernel, which outlives it.
  struct Kernel {
    std::function<Result<void>(hp_sweep&)> sweep;
    std::function<Result<void>(hp_conntrack_answer&)> set_conntrack;
    std::function<std::uint32_t()> attempts_changed;  ///< a count of changes (bpf/attempt_table.h)
  };
  explicit AttemptSettler(Kernel kernel) : kernel_(std::move(kernel)) {}
  /// Of the loaded programs. A kernel that has no such programs (Feature::kSweep) settles nothing.
  static Kernel kernel_of(const Programs& programs);

  /// Settles attempts older than the handshake timeout (S6) and forgets old ones. Returns how many still wait
  /// for an answer.
  [[nodiscard]] Result<std::uint64_t> sweep(SinceBoot now);
  /// The answer to EventKind::kConntrack; ignored if the attempt has been decided or forgotten since.
  [[nodiscard]] Result<void> set_conntrack(const Attempt& asked, const ConntrackAnswer& answer) const;

 private:
  Kernel kernel_;
  std::uint32_t changed_ = 0;  ///< attempts_changed at the last sweep
  bool clean_ = true;          ///< nothing was left by it, and nothing had come since the one before
};

}  // namespace hairpind
