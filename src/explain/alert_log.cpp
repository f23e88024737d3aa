// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/alert_log.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "hairpind/core/printable.hpp"
#include "hairpind/core/rfc3339.hpp"
#include "hairpind/explain/told_alert.hpp"

namespace hairpind {
namespace {

// Far above what a cluster has, and below what a machine has: anybody may write a log.
constexpr std::size_t kMostRecords = 50'000;
constexpr std::size_t kMostLogs = 20'000;
constexpr std::size_t kMostKinds = 16;
constexpr std::size_t kMostTransitions = 256;
constexpr std::size_t kMostEvidence = 4;
constexpr std::size_t kLongestAlert = std::size_t{64} << 10U;
constexpr std::size_t kLongestName = 300;

constexpr std::string_view kSchema = "hairpind.alert/v1";

/// The value of a JSON string; empty if it is none.
std::string string_of(std::string_view raw) {
  if (raw.size() < 2 || raw.front() != '"') {
    return {};
  }
  if (raw.find('\\') == std::string_view::npos) {
    return std::string(raw.substr(1, raw.size() - 2));
  }
  const auto json = nlohmann::json::parse(raw, nullptr, false);
  return json.is_string() ? json.get<std::string>() : std::string();
}

std::string event_of(std::string_view raw) {
  if (!raw.starts_with('{')) {
    return string_of(raw);
  }
  const auto json = nlohmann::json::parse(raw, nullptr, false);
  const auto action = json.is_object() ? json.find("action") : json.end();
  return json.is_object() && action != json.end() && action->is_string() ? action->get<std::string>() : std::string();
}

std::uint64_t number_of(std::string_view raw) {
  std::uint64_t value = 0;
  std::from_chars(raw.data(), raw.data() + raw.size(), value);
  return value;
}

void keep_newest(KeptAlert& kept, const KeptAlert& alert, std::string_view json) {
  if (kept.json.empty() || alert.time >= kept.time) {
    kept.time = alert.time;
    kept.json = json;
    kept.place = alert.place;
  }
}

void keep_evidence(std::vector<KeptAlert>& kept, const KeptAlert& alert, std::string_view json) {
  if (std::ranges::any_of(kept, [&](const KeptAlert& other) { return other.json == json; })) {
    return;
  }
  kept.push_back({.time = alert.time, .json = std::string(json), .place = alert.place});
  std::ranges::stable_sort(kept, {}, &KeptAlert::time);
  if (kept.size() > kMostEvidence) {
    kept.erase(kept.begin());
  }
}

void keep_time(std::vector<WallTime>& times, WallTime time) {
  if (times.size() < kMostTransitions && std::ranges::find(times, time) == times.end()) {
    times.push_back(time);
  }
}

bool begins_run(const CountSample& before, const CountSample& sample) {
  return sample.starts || sample.count < before.count;
}

bool overlap(WallTime from, WallTime to, WallTime other_from, WallTime other_to) {
  return from < other_to && other_from < to;
}

}  // namespace

std::uint64_t attempts_of(std::vector<CountSample>& samples) {
  std::ranges::sort(samples);
  samples.erase(std::ranges::unique(samples).begin(), samples.end());
  std::vector<CountSample> kept;
  std::uint64_t attempts = 0;
  for (std::size_t i = 0; i < samples.size(); i++) {
    const bool first = i == 0 || begins_run(samples[i - 1], samples[i]);
    const bool last = i + 1 == samples.size() || begins_run(samples[i], samples[i + 1]);
    attempts += last ? samples[i].count : 0;
    if (first || last) {
      kept.push_back(samples[i]);
    }
  }
  samples = std::move(kept);
  return attempts;
}

void AlertLog::count(Fault& fault, const std::string& file, std::uint64_t number) {
  if (fault.count++ == 0) {
    fault.first = file + ", line " + std::to_string(number);
  }
}

void AlertLog::count_kind(std::map<std::string, Fault>& faults, std::string kind, const std::string& file,
                          std::uint64_t number) {
  kind.resize(std::min(kind.size(), kLongestName));
  if (faults.size() >= kMostKinds && !faults.contains(kind)) {
    kind = "(and others)";
  }
  count(faults[kind], file, number);
}

void AlertLog::read_line(std::string_view line, const std::string& file, std::uint64_t number) {
  const std::uint64_t before = alerts_;
  const LineKind kind = find_alerts(line, [&](const AlertText& text) { take(text, file, number); });
  passed_over_ += alerts_ == before ? 1 : 0;
  if (kind == LineKind::kBroken) {
    count(broken_, file, number);
  }
}

IncidentRecord* AlertLog::record_of(const std::string& node, const std::string& incident) {
  key_.assign(node).append(1, '\0').append(incident);
  const auto found = records_.find(key_);
  if (found != records_.end()) {
    return &found->second;
  }
  if (records_.size() == kMostRecords) {
    return nullptr;
  }
  IncidentRecord& record = records_[key_];
  record.node = node;
  record.incident = incident;
  return &record;
}

void AlertLog::note_log(IncidentRecord& record, std::string_view source, const std::string& file, WallTime time) {
  key_.assign(record.node).append(1, '\0').append(source.empty() ? std::string_view(file) : source);
  auto found = log_numbers_.find(key_);
  if (found == log_numbers_.end()) {
    if (logs_.size() == kMostLogs) {
      return;
    }
    found = log_numbers_.emplace(key_, logs_.size()).first;
    logs_.push_back({.node = record.node,
                     .name = source.empty() ? file : std::string(source),
                     .one_agent = !source.empty(),
                     .from = time,
                     .to = time,
                     .shares = false});
  }
  NodeLog& log = logs_[found->second];
  log.from = std::min(log.from, time);
  log.to = std::max(log.to, time);
  if (!record.first_log) {
    record.first_log = found->second;
  } else if (*record.first_log != found->second) {
    log.shares = true;
    logs_[*record.first_log].shares = true;
  }
}

void AlertLog::take(const AlertText& text, const std::string& file, std::uint64_t number) {
  if (const std::string schema = string_of(text.schema); schema != kSchema) {
    count_kind(other_schemas_, schema, file, number);
    return;
  }
  const std::string event = event_of(text.event);
  const std::string node = string_of(text.node);
  const std::string incident = string_of(text.incident);
  const auto time = parse_rfc3339(string_of(text.time));
  if (!time || node.empty() || node.size() > kLongestName || incident.empty() || incident.size() > kLongestName ||
      text.whole.size() > kLongestAlert) {
    count(incomplete_, file, number);
    return;
  }
  const bool first = event == "asymmetric_handshake";
  const bool handshake = first || event == "asymmetric_handshake_repeated";
  if (!handshake && event != "asymmetric_handshake_resolved" && event != "asymmetric_handshake_dormant" &&
      event != "asymmetric_handshake_evidence" && event != "hairpin_exposure") {
    count_kind(other_events_, event, file, number);
    return;
  }
  IncidentRecord* const record = record_of(node, incident);
  if (record == nullptr) {
    count(too_many_, file, number);
    return;
  }
  alerts_++;
  note_log(*record, text.source, file, *time);
  const KeptAlert alert{.time = *time, .json = {}, .place = file + ", line " + std::to_string(number)};
  if (handshake) {
    const bool reopened = text.reopened == "true";
    record->samples.push_back({.time = *time, .count = number_of(text.count), .starts = first && !reopened});
    if (record->samples.size() >= record->thin_at) {
      attempts_of(record->samples);
      record->thin_at = std::max(record->thin_at, 2 * record->samples.size());
    }
    keep_newest(record->newest, alert, text.whole);
    if (reopened) {
      keep_time(record->reopened, *time);
    }
  } else if (event == "asymmetric_handshake_resolved") {
    keep_newest(record->resolved, alert, text.whole);
    keep_time(record->resolved_at, *time);
  } else if (event == "asymmetric_handshake_dormant") {
    keep_newest(record->dormant, alert, text.whole);
    keep_time(record->dormant_at, *time);
  } else if (event == "asymmetric_handshake_evidence") {
    keep_evidence(record->evidence, alert, text.whole);
  } else {
    keep_newest(record->exposure, alert, text.whole);
  }
}

std::optional<std::string> AlertLog::twins() const {
  std::vector<const NodeLog*> sorted;
  sorted.reserve(logs_.size());
  for (const NodeLog& log : logs_) {
    sorted.push_back(&log);
  }
  std::ranges::sort(sorted, [](const NodeLog* a, const NodeLog* b) {
    return std::tie(a->node, a->from, a->name) < std::tie(b->node, b->from, b->name);
  });
  std::optional<std::string> text;
  std::size_t others = 0;
  const NodeLog* last = nullptr;  // of this node, the one that goes on longest
  for (const NodeLog* const log : sorted) {
    if (last == nullptr || last->node != log->node) {
      last = log;
      continue;
    }
    // The same agent's lines may stand in two files; one agent has one pod, and one node one agent.
    const bool agents = last->one_agent && log->one_agent;
    if (overlap(last->from, last->to, log->from, log->to) && (agents || (!last->shares && !log->shares))) {
      others += text ? 1 : 0;
      if (!text) {
        text = "two nodes with the name '" + log->node + "'? '" + last->name + "' and '" + log->name +
               "' tell of it at the same time; they are shown as one";
      }
    }
    last = log->to > last->to ? log : last;
  }
  return others == 0 ? text : std::optional(*text + " (and " + std::to_string(others) + " more)");
}

std::vector<std::string> AlertLog::notes() const {
  std::vector<std::string> notes;
  notes.reserve(other_schemas_.size() + other_events_.size());
  const auto lines = [](std::uint64_t number, const char* what) {
    return std::to_string(number) + (number == 1 ? " line " : " lines ") + what;
  };
  for (const auto& [schema, fault] : other_schemas_) {
    notes.push_back(lines(fault.count, "of schema '") + schema + "' passed over (first: " + fault.first +
                    "): this hairpind reads " + std::string(kSchema) + "; take a newer one");
  }
  for (const auto& [event, fault] : other_events_) {
    notes.push_back(lines(fault.count, "of event '") + event + "' passed over (first: " + fault.first +
                    "): this hairpind does not know it; a newer one may");
  }
  if (broken_.count > 0) {
    notes.push_back(lines(broken_.count, "passed over that name hairpind's schema and hold no whole alert (first: ") +
                    broken_.first + "): cut off, or JSON over several lines (jq -c writes one a line)");
  }
  if (incomplete_.count > 0) {
    notes.push_back(lines(incomplete_.count, "passed over (first: ") + incomplete_.first +
                    "): an alert has a time, a node and an incident, and is shorter than 64 KiB");
  }
  if (too_many_.count > 0) {
    notes.push_back(lines(too_many_.count, "passed over (first: ") + too_many_.first + "): of more than " +
                    std::to_string(kMostRecords) + " incidents; give fewer files at once");
  }
  if (const auto text = twins()) {
    notes.push_back(*text);
  }
  for (std::string& note : notes) {
    note = printable(note);
  }
  return notes;
}

}  // namespace hairpind
