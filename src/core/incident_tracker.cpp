// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/incident_tracker.hpp"

#include <algorithm>
#include <cstdio>
#include <set>
#include <span>
#include <tuple>

namespace hairpind {
namespace {

// FNV-1a, 64 bit: spread is all that is needed, and it must never change between versions.
class StableHash {
 public:
  void add(std::span<const std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes) {
      value_ = (value_ ^ byte) * 0x100000001b3ULL;
    }
  }
  void add(std::uint16_t number) {
    add(std::array<std::uint8_t, 2>{static_cast<std::uint8_t>(number >> 8U),
                                    static_cast<std::uint8_t>(number & 0xffU)});
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

bool same_attempt(const Attempt& a, const Attempt& b) {
  return a.client == b.client && a.isn == b.isn;
}

}  // namespace

std::string IncidentKey::id(std::string_view node) const {
  StableHash hash;
  hash.add(client.bytes);
  if (client.is_link_local()) {
    for (const char character : node) {
      hash.add(std::array<std::uint8_t, 1>{static_cast<std::uint8_t>(character)});
    }
  }
  hash.add(load_balancer.address.bytes);
  hash.add(load_balancer.port);
  hash.add(responder.address.bytes);
  hash.add(responder.port);
  hash.add(static_cast<std::uint16_t>(cause));
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash.value()));
  return text.data();
}

IncidentKey IncidentKey::of(const Attempt& attempt) {
  return {.client = attempt.client.address,
          .load_balancer = attempt.load_balancer,
          .responder = attempt.responder,
          .cause = attempt.cause};
}

hp_incident_key IncidentKey::to_abi() const {
  return {.client = client.to_abi(),
          .lb = load_balancer.to_abi(),
          .responder = responder.to_abi(),
          .cause = static_cast<std::uint8_t>(cause),
          .pad = {}};
}

void IncidentTracker::on_event(const Event& event, SinceBoot now) {
  const auto [position, is_new] = incidents_.try_emplace(IncidentKey::of(event.attempt));
  Incident& incident = position->second;
  const bool same = !is_new && same_attempt(incident.example, event.attempt);
  if (incident.closed) {
    // Of the attempts before it was closed an outcome is no news.
    if (event.kind == EventKind::kMismatch) {
      reopen(incident, now);
      incident.example = event.attempt;
      incident.example_time = event.time;
      incident.drop_symbol = event.drop_symbol;
    }
    return;
  }
  if (is_new || event.kind == EventKind::kMismatch) {
    // The example of a first alert stays with the attempt that opened the incident, so that its outcome finds it.
    if (is_new || same || incident.told) {
      incident.example = event.attempt;
      incident.example_time = event.time;
      incident.drop_symbol = event.drop_symbol;
      incident.example_told = false;
    }
  } else if (same) {
    take_outcome(incident, event);
  }
  // Of another attempt than the example an outcome says nothing: evidence of two would be evidence of none.
  if (incident.told) {
    if (event.kind == EventKind::kMismatch && !incident.waiting) {
      wait_for_repeat(incident);
    }
    return;
  }
  if (is_new) {
    incident.due = now + options_.outcome_wait;
  }
  // Whom Cilium's identities stand for is asked for meanwhile.
  if ((is_new || same) && event.attempt.outcome != Outcome::kUnknown && !event.attempt.cilium_drop) {
    incident.due = now;
  }
}

void IncidentTracker::take_outcome(Incident& incident, const Event& event) {
  // That one got through after all is no word on those that a repeat tells of.
  if (incident.example_told && event.attempt.outcome == Outcome::kCompleted) {
    return;
  }
  incident.example = event.attempt;
  incident.drop_symbol = event.drop_symbol;
}

void IncidentTracker::on_counts(const std::vector<IncidentCount>& counts, SinceBoot now) {
  std::set<IncidentKey> listed;
  for (const IncidentCount& counted : counts) {
    // Read between the kernel's making of the entry and its first count.
    if (counted.count == 0) {
      continue;
    }
    listed.insert(counted.key);
    const auto [position, is_new] = incidents_.try_emplace(counted.key);
    Incident& incident = position->second;
    if (is_new) {
      incident.example = counted.example;
      incident.example_time = counted.last_event.count() != 0 ? counted.last_event : now;
      // Its event may be in the ring, not yet read, with the outcome to follow.
      incident.due = now + options_.outcome_wait;
    }
    incident.known_count = counted.count;
    // The kernel's entry went and came back between two looks.
    incident.told_count = std::min(incident.told_count, counted.count);
    if (incident.closed && incident.known_count > incident.told_count) {
      reopen(incident, now);
      incident.example = counted.example;
      incident.example_time = counted.last_event;
    }
    if (incident.told && !incident.waiting && incident.known_count > incident.told_count) {
      wait_for_repeat(incident);
    }
  }
  std::erase_if(incidents_, [&](const auto& entry) {
    return (entry.second.told || entry.second.closed) && !listed.contains(entry.first);
  });
}

void IncidentTracker::close(const Endpoint& load_balancer) {
  for (auto& [key, incident] : incidents_) {
    if (key.load_balancer == load_balancer && incident.told) {
      incident.told = incident.waiting = false;
      incident.closed = true;
      incident.repeats = 0;
      incident.told_count = std::max(incident.told_count, incident.known_count);
    }
  }
}

void IncidentTracker::reopen(Incident& incident, SinceBoot now) const {
  incident.closed = false;
  incident.waiting = true;
  incident.example_told = false;
  incident.due = now + options_.outcome_wait;
}

void IncidentTracker::wait_for_repeat(Incident& incident) const {
  incident.waiting = true;
  const auto& intervals = options_.repeat_intervals;
  incident.due = incident.last_told + intervals.at(std::min(incident.repeats, intervals.size() - 1));
}

std::vector<DueAlert> IncidentTracker::take_due(SinceBoot now, const CountReader& read_count) {
  return take(now, read_count, [&](const Incident& incident) { return incident.due <= now; });
}

std::vector<DueAlert> IncidentTracker::take_untold(SinceBoot now, const CountReader& read_count) {
  return take(now, read_count, [](const Incident& incident) { return !incident.told; });
}

std::vector<DueAlert> IncidentTracker::take(SinceBoot now, const CountReader& read_count,
                                            const std::function<bool(const Incident&)>& is_due) {
  std::vector<DueAlert> due;
  for (auto& [key, incident] : incidents_) {
    if (!incident.waiting || !is_due(incident)) {
      continue;
    }
    incident.waiting = false;
    const std::uint64_t count = read_count(key).value_or(std::max<std::uint64_t>(incident.known_count, 1));
    // The sample that asked for this repeat was among those told of before.
    if (incident.told && count <= incident.told_count) {
      continue;
    }
    incident.repeats += incident.told ? 1 : 0;
    due.push_back({.event = incident.told ? AlertEvent::kAsymmetricHandshakeRepeated : AlertEvent::kAsymmetricHandshake,
                   .key = key,
                   .count = count,
                   .time = incident.example_time,
                   .example = incident.example,
                   .drop_symbol = incident.drop_symbol});
    incident.told = true;
    incident.example_told = true;
    incident.last_told = now;
    incident.told_count = count;
  }
  std::ranges::sort(due, {}, [](const DueAlert& alert) { return std::tie(alert.time, alert.key); });
  return due;
}

std::optional<SinceBoot> IncidentTracker::next_deadline() const {
  std::optional<SinceBoot> next;
  for (const auto& [key, incident] : incidents_) {
    if (incident.waiting && (!next || incident.due < *next)) {
      next = incident.due;
    }
  }
  return next;
}

}  // namespace hairpind
