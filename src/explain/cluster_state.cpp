// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/cluster_state.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace hairpind {
namespace {

// An agent repeats an alert after an hour at the latest while attempts go on failing; the rest is for slow pipelines.
constexpr std::chrono::minutes kLongestSilence{70};
constexpr std::size_t kMostNotes = 20;

struct Found {
  ToldIncident incident;
  std::optional<WallTime> last_mismatch;
  std::optional<ToldAlert> resolved;
  std::optional<ToldAlert> dormant;
  std::optional<ToldAlert> exposure;
  std::vector<ToldChange> changes;
};

class Notes {
 public:
  void add(std::string note) {
    if (notes_.size() < kMostNotes) {
      notes_.push_back(std::move(note));
    } else {
      more_++;
    }
  }
  std::vector<std::string> take() {
    if (more_ > 0) {
      notes_.push_back("and " + std::to_string(more_) + " more of this kind");
    }
    return std::move(notes_);
  }

 private:
  std::vector<std::string> notes_;
  std::size_t more_ = 0;
};

std::optional<ToldAlert> parsed(const KeptAlert& kept, Notes& notes) {
  if (kept.json.empty()) {
    return std::nullopt;
  }
  auto alert = parse_told_alert(kept.json);
  if (!alert) {
    notes.add(kept.place + ": an alert that is no valid JSON, passed over");
  }
  return alert;
}

void read_evidence(const IncidentRecord& record, ToldIncident& incident, std::optional<ToldAlert>& any, Notes& notes) {
  for (const KeptAlert& kept : record.evidence) {
    auto alert = parsed(kept, notes);
    if (!alert) {
      continue;
    }
    if (alert->broken_packets > 0) {
      notes.add(kept.place + ": " + std::to_string(alert->broken_packets) + " of " +
                std::to_string(alert->packets.size()) + " packets of incident " + alert->incident +
                " are no base64 (cut off?); they are shown without their bytes");
    }
    incident.packets.insert(incident.packets.end(), alert->packets.begin(), alert->packets.end());
    any = std::move(alert);
  }
  // What has no time stays behind what it came after.
  std::optional<WallTime> before;
  for (ToldPacket& packet : incident.packets) {
    packet.time = packet.time ? packet.time : before;
    before = packet.time;
  }
  std::ranges::stable_sort(incident.packets, {}, &ToldPacket::time);
}

std::optional<Found> read_record(const IncidentRecord& record, Notes& notes) {
  Found found;
  auto newest = parsed(record.newest, notes);
  found.resolved = parsed(record.resolved, notes);
  found.dormant = parsed(record.dormant, notes);
  found.exposure = parsed(record.exposure, notes);
  std::optional<ToldAlert> of_evidence;
  read_evidence(record, found.incident, of_evidence, notes);
  for (const auto* const alert : {&newest, &of_evidence, &found.dormant, &found.resolved, &found.exposure}) {
    if (*alert) {
      found.incident.alert = **alert;
      break;
    }
  }
  const ToldAlert& alert = found.incident.alert;
  if (alert.node.empty()) {
    return std::nullopt;
  }
  auto samples = record.samples;
  found.incident.attempts = attempts_of(samples);
  found.incident.since = samples.empty() ? alert.time.value_or(WallTime{}) : samples.front().time;
  found.incident.last = samples.empty() ? found.incident.since : samples.back().time;
  const auto add = [&](const std::vector<WallTime>& times, const char* what) {
    for (const WallTime time : times) {
      found.changes.push_back({.time = time, .node = alert.node, .what = what});
    }
  };
  if (newest && !samples.empty()) {
    found.last_mismatch = samples.back().time;
    add({samples.front().time}, "opened");
  }
  add(record.reopened, "reopened");
  add(record.dormant_at, "dormant");
  add(record.resolved_at, "fixed");
  return found;
}

using Key = std::pair<std::string, std::string>;  // load balancer, node

/// What the incidents of one load balancer on one node come to.
struct NodeLife {
  ToldNode node;
  std::optional<ToldAlert> resolved;
  std::optional<ToldAlert> dormant;
  std::optional<WallTime> last_mismatch;
};

void keep_later(std::optional<ToldAlert>& kept, const std::optional<ToldAlert>& alert) {
  if (alert && (!kept || alert->time > kept->time)) {
    kept = alert;
  }
}

void judge(NodeLife& life, WallTime now) {
  ToldNode& node = life.node;
  const auto told = [](const std::optional<ToldAlert>& alert) { return alert ? alert->time : std::nullopt; };
  for (const auto& alert : {life.resolved, life.dormant}) {
    node.attempts = std::max(node.attempts, alert ? alert->mismatched.value_or(0) : 0);
  }
  const auto over = std::max(told(life.resolved), told(life.dormant));
  if (over && (!life.last_mismatch || *over >= *life.last_mismatch)) {
    const bool fixed = told(life.resolved) >= told(life.dormant);
    node.state = fixed ? ToldState::kFixed : ToldState::kDormant;
    node.said = fixed ? life.resolved->message : life.dormant->message;
  } else if (!life.last_mismatch) {
    node.state = ToldState::kExposed;
  } else {
    node.state = now - *life.last_mismatch <= kLongestSilence ? ToldState::kActive : ToldState::kQuiet;
  }
}

void add_once(std::vector<std::string>& list, std::set<std::string>& seen, const std::string& text) {
  if (!text.empty() && seen.insert(text).second) {
    list.push_back(text);
  }
}

// An incident of a node's problem opens it once, though each of its incidents has a first alert.
void tidy(std::vector<ToldChange>& changes) {
  std::ranges::stable_sort(changes, [](const ToldChange& a, const ToldChange& b) {
    return std::tie(a.time, a.node, a.what) < std::tie(b.time, b.node, b.what);
  });
  std::set<std::string> opened;
  std::erase_if(
      changes, [&](const ToldChange& change) { return change.what == "opened" && !opened.insert(change.node).second; });
}

std::string client_name(const ToldAlert& alert) {
  return alert.client.pod.empty() ? alert.client.ip : alert.client.pod;
}

struct Group {
  ToldProblem problem;
  std::map<std::string, NodeLife> nodes;
  std::set<std::string> causes;
  std::set<std::string> clients;
  WallTime hint_of;
};

void add_to(Group& group, const Found& found, std::size_t number) {
  ToldProblem& problem = group.problem;
  const ToldIncident& incident = found.incident;
  const ToldAlert& alert = incident.alert;
  if (problem.incidents.empty() || incident.last >= group.hint_of) {
    group.hint_of = incident.last;
    problem.load_balancer = alert.load_balancer;
    problem.hint = alert.hint;
    problem.runbook = alert.runbook;
  }
  add_once(problem.causes, group.causes, alert.cause);
  add_once(problem.clients, group.clients, client_name(alert));
  problem.incidents.push_back(number);
  problem.changes.insert(problem.changes.end(), found.changes.begin(), found.changes.end());

  auto [at, is_new] = group.nodes.try_emplace(alert.node);
  NodeLife& life = at->second;
  life.node.name = alert.node;
  life.node.attempts += incident.attempts;
  life.node.since = is_new ? incident.since : std::min(life.node.since, incident.since);
  life.node.last = is_new ? incident.last : std::max(life.node.last, incident.last);
  life.last_mismatch = std::max(life.last_mismatch, found.last_mismatch);
  keep_later(life.resolved, found.resolved);
  keep_later(life.dormant, found.dormant);
}

void finish(Group& group, const std::vector<ToldIncident>& incidents, WallTime now) {
  ToldProblem& problem = group.problem;
  for (auto& [name, life] : group.nodes) {
    judge(life, now);
    const ToldNode& node = life.node;
    problem.since = problem.nodes.empty() ? node.since : std::min(problem.since, node.since);
    problem.last = std::max(problem.last, node.last);
    problem.attempts += node.attempts;
    problem.nodes.push_back(node);
  }
  std::ranges::sort(problem.nodes, [](const ToldNode& a, const ToldNode& b) {
    return std::tuple(a.state, b.attempts, a.name) < std::tuple(b.state, a.attempts, b.name);
  });
  problem.state = problem.nodes.front().state;
  std::ranges::sort(problem.incidents, [&](std::size_t a, std::size_t b) {
    const ToldIncident& one = incidents[a];
    const ToldIncident& other = incidents[b];
    return std::tie(other.attempts, one.alert.incident, one.alert.node) <
           std::tie(one.attempts, other.alert.incident, other.alert.node);
  });
  std::ranges::sort(problem.causes);
  std::ranges::sort(problem.clients);
  tidy(problem.changes);
}

}  // namespace

std::string_view to_string(ToldState state) {
  switch (state) {
    case ToldState::kActive:
      return "active";
    case ToldState::kDormant:
      return "dormant";
    case ToldState::kQuiet:
      return "quiet";
    case ToldState::kExposed:
      return "exposed";
    case ToldState::kFixed:
      return "fixed";
  }
  return "unknown";
}

ClusterState conclude(const AlertLog& log, std::uint64_t lines, WallTime now) {
  ClusterState state{.as_of = now,
                     .lines = lines,
                     .alerts = log.alerts(),
                     .passed_over = log.passed_over(),
                     .problems = {},
                     .incidents = {},
                     .notes = log.notes()};
  Notes notes;
  std::map<std::string, Group> groups;
  std::vector<const IncidentRecord*> records;
  for (const auto& [key, record] : log.records()) {
    records.push_back(&record);
  }
  // The same lines give the same page.
  std::ranges::sort(records, [](const IncidentRecord* a, const IncidentRecord* b) {
    return std::tie(a->incident, a->node) < std::tie(b->incident, b->node);
  });
  for (const IncidentRecord* const record : records) {
    if (auto found = read_record(*record, notes)) {
      add_to(groups[found->incident.alert.load_balancer.at.address()], *found, state.incidents.size());
      state.incidents.push_back(std::move(found->incident));
    }
  }
  for (auto& [address, group] : groups) {
    finish(group, state.incidents, now);
    state.problems.push_back(std::move(group.problem));
  }
  std::ranges::stable_sort(state.problems, [](const ToldProblem& a, const ToldProblem& b) {
    return std::tuple(a.state, b.attempts, b.last) < std::tuple(b.state, a.attempts, a.last);
  });
  auto more = notes.take();
  state.notes.insert(state.notes.end(), more.begin(), more.end());
  return state;
}

std::vector<std::string> incidents_beginning(const ClusterState& state, std::string_view beginning) {
  std::set<std::string> ids;
  for (const ToldIncident& incident : state.incidents) {
    if (incident.alert.incident.starts_with(beginning)) {
      ids.insert(incident.alert.incident);
    }
  }
  return {ids.begin(), ids.end()};
}

}  // namespace hairpind
