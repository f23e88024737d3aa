// SPDX-License-Identifier: Apache-2.0
#include "incident_reporter.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace hairpind {
namespace {

constexpr std::chrono::hours kIdle{24};
// Half of the table is kept free for those to come.
constexpr std::size_t kCrowded = HP_INCIDENTS / 2;
// By then it has been told.
constexpr std::chrono::minutes kQuiet{1};

// Unsolicited ones first, then those that have been quiet for longest.
void make_room(std::vector<IncidentCount>& live, std::vector<IncidentKey>& idle, SinceBoot now) {
  if (live.size() <= kCrowded) {
    return;
  }
  const auto quiet = std::ranges::partition(live, [&](const IncidentCount& incident) {
    return incident.last_event.count() == 0 || now - incident.last_event <= kQuiet;
  });
  std::ranges::sort(quiet, {}, [](const IncidentCount& incident) {
    return std::pair(incident.key.cause == Cause::kUnsolicitedSynAck, -incident.last_event.count());
  });
  const auto kept = live.end() - static_cast<std::ptrdiff_t>(std::min(quiet.size(), live.size() - kCrowded));
  std::transform(kept, live.end(), std::back_inserter(idle),
                 [](const IncidentCount& incident) { return incident.key; });
  live.erase(kept, live.end());
}

}  // namespace

void IncidentReporter::on_event(const Event& event, SinceBoot now) {
  if (event.kind == EventKind::kConntrack) {
    answer(event.attempt);
  } else {
    if (const auto& drop = event.attempt.cilium_drop) {
      identities_.insert({drop->source_identity, drop->destination_identity});
    }
    tracker_.on_event(event, now);
  }
}

void IncidentReporter::answer(const Attempt& asked) {
  if (const auto set = kernel_.answer_conntrack(asked, kernel_.ask_conntrack(asked)); set) {
    static_cast<void>(answering_.ends());
  } else if (answering_.begins()) {
    spdlog::error("{}; legitimate translations may be taken for mismatches", set.error().message);
  }
}

std::vector<IncidentKey> IncidentReporter::on_counts(const std::vector<IncidentCount>& incidents, SinceBoot now) {
  std::vector<IncidentKey> idle;
  std::vector<IncidentCount> live;
  for (const IncidentCount& incident : incidents) {
    if (incident.last_event.count() != 0 && now - incident.last_event > kIdle) {
      idle.push_back(incident.key);
    } else {
      live.push_back(incident);
    }
  }
  make_room(live, idle, now);
  tracker_.on_counts(live, now);
  return idle;
}

std::vector<Alert> IncidentReporter::take_due(SinceBoot now, const AlertSources& sources) {
  return compose(tracker_.take_due(now, kernel_.read_count), sources);
}

std::vector<Alert> IncidentReporter::take_untold(SinceBoot now, const AlertSources& sources) {
  return compose(tracker_.take_untold(now, kernel_.read_count), sources);
}

std::vector<Alert> IncidentReporter::compose(std::vector<DueAlert> due, const AlertSources& sources) const {
  std::vector<Alert> alerts;
  for (DueAlert& each : due) {
    // What ended at once was not asked about by a sweep.
    const ConntrackAnswer answer = kernel_.ask_conntrack(each.example);
    each.example.conntrack = answer.conntrack;
    each.example.conntrack_source = answer.source;
    alerts.push_back(compose_alert(each, sources));
  }
  return alerts;
}

}  // namespace hairpind
