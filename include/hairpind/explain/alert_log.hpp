// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "hairpind/core/alert.hpp"
#include "hairpind/explain/alert_lines.hpp"

namespace hairpind {

/// A line that is kept, whole, until all is read.
struct KeptAlert {
  WallTime time;
  std::string json;   ///< empty: there is none
  std::string place;  ///< "FILE, line N"
};

/// `count` at a time. Agents that start again count from the start.
struct CountSample {
  WallTime time;
  std::uint64_t count = 0;
  bool starts = false;  ///< the first alert of an agent's run

  auto operator<=>(const CountSample&) const = default;
};

/// What all lines said of one incident on one node.
struct IncidentRecord {
  std::string node;  ///< as it was written: not fit for a terminal
  std::string incident;
  std::vector<CountSample> samples;  ///< in the order of the lines
  std::size_t thin_at = 256;         ///< so many samples are looked through for those that say nothing new
  KeptAlert newest;                  ///< of a misdirected attempt
  KeptAlert resolved;
  KeptAlert dormant;
  KeptAlert exposure;
  std::vector<KeptAlert> evidence;  ///< asymmetric_handshake_evidence: the newest few
  std::vector<WallTime> reopened;
  std::vector<WallTime> resolved_at;
  std::vector<WallTime> dormant_at;
  std::optional<std::size_t> first_log;  ///< of the AlertLog's own, for nobody else
};

/// Attempts that samples tell of: the last count of each run of the agent, added up. The same line twice counts once,
/// and so does a log that is read backwards. Sorts them, and leaves of each run the first and the last: enough for what
/// comes later of logs that run forward or backward.
std::uint64_t attempts_of(std::vector<CountSample>& samples);

/// Takes the lines of all logs and keeps of them what explains: per incident and node some lines, and the counts. One
/// thread.
class AlertLog {
 public:
  /// `file` is a name for a person.
  void read_line(std::string_view line, const std::string& file, std::uint64_t number);

  [[nodiscard]] const std::unordered_map<std::string, IncidentRecord>& records() const { return records_; }
  [[nodiscard]] std::uint64_t alerts() const { return alerts_; }
  /// Lines without an alert that could be read.
  [[nodiscard]] std::uint64_t passed_over() const { return passed_over_; }
  /// One for each kind of thing that was wrong, with its number and the first place.
  [[nodiscard]] std::vector<std::string> notes() const;

 private:
  // What could not be taken, and where first.
  struct Fault {
    std::uint64_t count = 0;
    std::string first;
  };
  // When one log told of one node.
  struct NodeLog {
    std::string node;
    std::string name;
    bool one_agent = false;  // else a file, in which many may have written
    WallTime from;
    WallTime to;
    bool shares = false;  // an incident with another log
  };

  void take(const AlertText& text, const std::string& file, std::uint64_t number);
  IncidentRecord* record_of(const std::string& node, const std::string& incident);
  void note_log(IncidentRecord& record, std::string_view source, const std::string& file, WallTime time);
  [[nodiscard]] std::optional<std::string> twins() const;
  static void count(Fault& fault, const std::string& file, std::uint64_t number);
  static void count_kind(std::map<std::string, Fault>& faults, std::string kind, const std::string& file,
                         std::uint64_t number);

  std::unordered_map<std::string, IncidentRecord> records_;
  std::vector<NodeLog> logs_;
  std::unordered_map<std::string, std::size_t> log_numbers_;
  std::map<std::string, Fault> other_schemas_;
  std::map<std::string, Fault> other_events_;
  Fault broken_;
  Fault incomplete_;
  Fault too_many_;
  std::uint64_t alerts_ = 0;
  std::uint64_t passed_over_ = 0;
  std::string key_;  // of the last look-up: its memory is used again
};

}  // namespace hairpind
