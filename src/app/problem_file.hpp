// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "event_loop.hpp"
#include "fault.hpp"
#include "hairpind/core/error.hpp"
#include "problem_watch.hpp"

namespace hairpind {

/// Keeps the problems in a file, so that a restart of the agent, as by an upgrade, does not forget that one is not
/// solved.
///
/// Owns: DIRECTORY/problems.json, replaced as a whole. Called by: the event loop. Never waits for the disk, and never
/// fails the agent once it has started: a fault is logged once.
class ProblemFile {
 public:
  /// Fails where nothing can be written into `directory`.
  static Result<ProblemFile> open(const std::string& directory);

  /// What was kept; nothing, with a line in the log, where that cannot be understood.
  [[nodiscard]] std::vector<KeptProblem> read(WallTime::duration boot_to_wall) const;

  /// Is it time to write what has gone on? What has changed a problem's state is written at once.
  [[nodiscard]] bool due(SinceBoot now) const { return now >= next_; }
  void write(const std::vector<KeptProblem>& problems, WallTime::duration boot_to_wall, SinceBoot now);

 private:
  ProblemFile(std::string path, std::string boot) : path_(std::move(path)), boot_(std::move(boot)) {}
  [[nodiscard]] Result<void> replace(const std::string& text) const;

  std::string path_;
  std::string boot_;
  std::string written_;  ///< without the clocks
  SinceBoot next_{};
  Fault writing_;
};

}  // namespace hairpind
