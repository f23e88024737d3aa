// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "hairpind/core/alert.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {

/// The alert stream: whole lines to a file, a FIFO or stdout, which may be a file, pipe, socket or terminal. Never
/// blocks: what cannot be written now waits in a bounded queue, first sightings in front, then exposures, then repeats
/// of what is known; each of these in their order. Whichever is last goes when there is no room. Of a pipe all but
/// first sightings take a page, lest these wait there. Not thread safe; owned by the event loop.
class AlertSink {
 public:
  static constexpr std::size_t kQueueLines = 4096;

  /// `path` is a file, created if missing and appended to, or "-" for stdout.
  static Result<AlertSink> open(std::string path);

  /// Queues `line` (without newline) and writes what can be written. An error says why the stream takes nothing
  /// (disk full, reader gone); the lines stay queued. A reader that is merely slow is no error: see blocked().
  Result<void> write(AlertEvent event, std::string line);
  /// Tries again to write what is queued.
  Result<void> retry();
  /// The same when nothing new comes any more: a pipe may then be filled.
  Result<void> finish();
  /// For log rotation: opens the path anew. On failure the old file stays in use.
  Result<void> reopen();

  /// Lines wait for a slow reader: retry() soon.
  [[nodiscard]] bool blocked() const { return blocked_; }
  /// Lines that are not out, or not wholly.
  [[nodiscard]] std::size_t queued() const { return queue_.size(); }
  /// Lines that are out, wholly.
  [[nodiscard]] const std::map<AlertEvent, std::uint64_t>& written() const { return written_; }
  /// Lines lost because the queue was full.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  struct Line {
    AlertEvent event;
    std::string text;
  };

  AlertSink(std::string path, FileDescriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  /// write(2) that returns EAGAIN rather than wait, whatever the descriptor is and whoever shares it.
  [[nodiscard]] ssize_t write_now(const char* data, std::size_t size) const;
  [[nodiscard]] bool is_to_wait(const Line& line) const;

  std::string path_;
  FileDescriptor fd_;
  std::deque<Line> queue_;
  std::size_t bytes_out_ = 0;  ///< of the first queued line
  std::map<AlertEvent, std::uint64_t> written_;
  bool blocked_ = false;
  bool finishing_ = false;
  std::uint64_t dropped_ = 0;
};

}  // namespace hairpind
