// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "fault.hpp"
#include "hairpind/core/alert.hpp"
#include "hairpind/output/alert_sink.hpp"

namespace hairpind {

/// Puts alerts into the stream and keeps account of them: written, waiting, lost.
///
/// Owns: the sink. Called by: the event loop. Never waits for a reader.
class AlertWriter {
 public:
  AlertWriter(AlertSink sink, std::string path) : sink_(std::move(sink)), path_(std::move(path)) {}

  void write(const Alert& alert);
  /// What waits for a disk or a reader. True if a reader is merely slow: again soon.
  bool retry();
  /// Nothing new comes any more.
  void finish() { note(sink_.finish()); }
  /// For log rotation.
  void reopen();

  [[nodiscard]] std::size_t waiting() const { return sink_.queued(); }
  /// Alerts whose whole line is out.
  [[nodiscard]] const std::map<AlertEvent, std::uint64_t>& written() const { return sink_.written(); }
  [[nodiscard]] std::uint64_t dropped() const { return sink_.dropped(); }

 private:
  void note(const Result<void>& result);

  AlertSink sink_;
  std::string path_;
  Fault writing_;
};

}  // namespace hairpind
