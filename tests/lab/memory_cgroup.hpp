// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace hairpind::testing {

/// A memory cgroup of its own, below the root of what is mounted, of version 1 or 2, whichever has the memory
/// controller; removed when destroyed, by when its processes must have ended.
class MemoryCgroup {
 public:
  explicit MemoryCgroup(std::uint64_t limit_bytes);
  ~MemoryCgroup();
  MemoryCgroup(const MemoryCgroup&) = delete;
  MemoryCgroup& operator=(const MemoryCgroup&) = delete;

  /// Why there is none, or empty.
  [[nodiscard]] const std::string& unavailable() const { return unavailable_; }
  /// "version 1" or "version 2".
  [[nodiscard]] std::string version() const { return v2_ ? "version 2" : "version 1"; }
  /// Whoever writes 0 to it is in.
  [[nodiscard]] std::string processes() const { return directory_ + "/cgroup.procs"; }
  [[nodiscard]] std::uint64_t now_bytes() const;
  /// Processes killed for want of memory.
  [[nodiscard]] std::uint64_t killed() const;
  /// How often the limit was met, and something had to be given back.
  [[nodiscard]] std::uint64_t limit_met() const;

 private:
  std::string directory_;
  std::string unavailable_;
  bool v2_ = false;
};

}  // namespace hairpind::testing
