// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "hairpind/bpf/attached_program.hpp"
#include "hairpind/core/error.hpp"

namespace hairpind {

/// A tc-bpf(8) filter with direct action on a device's clsact qdisc. Detached when destroyed, unless it is not there
/// any more; it outlives a process that is killed. The qdisc is made where there is none and never deleted.
class ClsactFilter {
 public:
  /// First in line as of now, where a filter of another kind does not hold that place. Nobody's filter is replaced.
  static std::expected<std::unique_ptr<ClsactFilter>, AttachedProgram::AttachError> attach(std::uint32_t ifindex,
                                                                                           TcDirection direction,
                                                                                           int program_fd);
  /// Takes off what a process of ours that was killed has left on this hook.
  static Result<void> remove_leftovers(std::uint32_t ifindex, TcDirection direction);

  /// Whether others have filters on this hook, of any kind.
  static Result<bool> has_foreign(std::uint32_t ifindex, TcDirection direction);

  ~ClsactFilter();
  ClsactFilter(const ClsactFilter&) = delete;
  ClsactFilter& operator=(const ClsactFilter&) = delete;

  /// Whether the first filter of this one's priority is ours: this one, or that of another process of ours, with which
  /// there is nothing to fight about.
  [[nodiscard]] Result<bool> first_in_line() const;

 private:
  ClsactFilter(std::uint32_t ifindex, TcDirection direction) : ifindex_(ifindex), direction_(direction) {}

  std::uint32_t ifindex_;
  TcDirection direction_;
  std::uint32_t priority_ = 0;
  std::uint32_t handle_ = 0;
  std::uint32_t program_id_ = 0;
};

}  // namespace hairpind
