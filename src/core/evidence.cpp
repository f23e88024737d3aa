// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/evidence.hpp"

#include <algorithm>

namespace hairpind {
namespace {

// An attempt that is not misdirected by then (twice the settle time, and more) is not told of.
constexpr std::chrono::seconds kUndecided{10};
// An order that a full table swallowed is given again.
constexpr std::chrono::seconds kOrderAgain{30};
// The kernel side copies one or two more where CPUs meet.
constexpr std::size_t kMostPackets = HP_PACKETS_AN_ATTEMPT + 2;

}  // namespace

void EvidenceCollector::on_event(const Event& event, SinceBoot now) {
  if (event.kind == EventKind::kOutcome) {
    const auto found = attempts_.find(AttemptName::of(event.attempt));
    if (found != attempts_.end() && found->second.mismatch) {
      found->second.mismatch->attempt = event.attempt;
      found->second.mismatch->drop_symbol = event.drop_symbol;
    }
    return;
  }
  if (event.kind != EventKind::kMismatch) {
    return;
  }
  Incident& incident = incident_of(IncidentKey::of(event.attempt), now);
  if (event.attempt.captured) {
    choose(event, incident, now);
  }
  if (event.attempt.cause != Cause::kUnsolicitedSynAck) {
    order_what_is_missing(pair_of(AttemptName::of(event.attempt)), now);
  }
}

void EvidenceCollector::choose(const Event& event, Incident& incident, SinceBoot now) {
  Gathered* const gathered = gathered_of(AttemptName::of(event.attempt), now);
  if (gathered == nullptr || gathered->over || gathered->mismatch) {
    return;
  }
  if (incident.told >= kAttemptsAPeriod) {
    gathered->over = true;
    gathered->packets.clear();
    return;
  }
  incident.told++;
  gathered->mismatch = event;
  gathered->due = now + kGathering;
}

void EvidenceCollector::on_packet(CapturedPacket packet, SinceBoot now) {
  const bool begins = !attempts_.contains(packet.attempt);
  const auto ordered = pairs_.find(pair_of(packet.attempt));
  if (begins && ordered != pairs_.end()) {
    ordered->second.used = true;
  }
  Gathered* const gathered = gathered_of(packet.attempt, now);
  if (gathered != nullptr && !gathered->over && gathered->packets.size() < kMostPackets) {
    gathered->packets.push_back(std::move(packet));
  }
}

void EvidenceCollector::on_turn(SinceBoot now) {
  std::erase_if(attempts_, [&](const auto& entry) {
    const Gathered& gathered = entry.second;
    return (gathered.over || !gathered.mismatch) && now - gathered.last >= kUndecided;
  });
  std::erase_if(incidents_, [&](const auto& entry) { return now - entry.second.last >= kPeriod; });
  for (auto ordered = pairs_.begin(); ordered != pairs_.end();) {
    const auto next = std::next(ordered);
    const CallingPair pair = ordered->first;
    Ordered& order = ordered->second;
    if (order.used || now - order.since >= kOrderAgain) {
      order.attempts = order.used ? std::min(order.attempts * 2, kMostAtOnce) : order.attempts;
      order.used = false;
      order.since = now;
      orders_[pair] = order.attempts;
    }
    order_what_is_missing(pair, now);
    ordered = next;
  }
}

std::vector<Evidence> EvidenceCollector::take_due(SinceBoot now) {
  std::vector<Evidence> due;
  for (auto& [name, gathered] : attempts_) {
    if (!gathered.mismatch || gathered.over || gathered.due > now) {
      continue;
    }
    gathered.over = true;
    if (gathered.packets.empty()) {
      // Nothing has come of it but the verdict: another one may do better.
      if (const auto found = incidents_.find(IncidentKey::of(gathered.mismatch->attempt));
          found != incidents_.end() && found->second.told > 0) {
        found->second.told--;
      }
      continue;
    }
    std::ranges::stable_sort(gathered.packets, {}, &CapturedPacket::time);
    due.push_back({.mismatch = *std::move(gathered.mismatch), .packets = std::move(gathered.packets)});
    gathered.mismatch.reset();
    gathered.packets.clear();
  }
  std::ranges::stable_sort(due, {}, [](const Evidence& evidence) { return evidence.mismatch.time; });
  return due;
}

std::optional<SinceBoot> EvidenceCollector::next_deadline() const {
  std::optional<SinceBoot> next;
  for (const auto& [name, gathered] : attempts_) {
    if (gathered.mismatch && !gathered.over && (!next || gathered.due < *next)) {
      next = gathered.due;
    }
  }
  return next;
}

std::vector<std::pair<CallingPair, std::uint32_t>> EvidenceCollector::take_orders() {
  std::vector<std::pair<CallingPair, std::uint32_t>> orders(orders_.begin(), orders_.end());
  orders_.clear();
  return orders;
}

EvidenceCollector::Incident& EvidenceCollector::incident_of(const IncidentKey& key, SinceBoot now) {
  if (!incidents_.contains(key) && incidents_.size() >= kIncidents) {
    incidents_.erase(std::ranges::min_element(incidents_, {}, [](const auto& entry) { return entry.second.last; }));
  }
  Incident& incident = incidents_[key];
  if (incident.last.count() == 0 || now - incident.since >= kPeriod) {
    incident = {.since = now, .last = now, .told = 0};
  }
  incident.last = now;
  return incident;
}

// Null if there is no room but that of attempts that are to be told of.
EvidenceCollector::Gathered* EvidenceCollector::gathered_of(const AttemptName& attempt, SinceBoot now) {
  if (!attempts_.contains(attempt) && attempts_.size() >= kAttempts) {
    const auto is_kept = [](const auto& entry) { return entry.second.mismatch && !entry.second.over; };
    const auto oldest = std::ranges::min_element(
        attempts_, {}, [&](const auto& entry) { return std::pair(is_kept(entry), entry.second.last); });
    if (is_kept(*oldest)) {
      return nullptr;
    }
    attempts_.erase(oldest);
  }
  Gathered& gathered = attempts_[attempt];
  gathered.last = now;
  return &gathered;
}

void EvidenceCollector::order_what_is_missing(const CallingPair& pair, SinceBoot now) {
  const bool missing = std::ranges::any_of(incidents_, [&](const auto& entry) {
    const auto& [key, incident] = entry;
    // What the client calls itself goes well where others speak in its name.
    return key.client == pair.client && key.load_balancer == pair.load_balancer &&
           key.cause != Cause::kUnsolicitedSynAck && incident.told < kAttemptsAPeriod;
  });
  const auto ordered = pairs_.find(pair);
  if (!missing) {
    if (ordered != pairs_.end()) {
      cancel(ordered);
    }
    return;
  }
  if (ordered != pairs_.end()) {
    return;
  }
  if (pairs_.size() >= kPairs) {
    cancel(std::ranges::min_element(pairs_, {}, [](const auto& entry) { return entry.second.since; }));
  }
  pairs_[pair].since = now;
  orders_[pair] = pairs_[pair].attempts;
}

void EvidenceCollector::cancel(std::map<CallingPair, Ordered>::iterator ordered) {
  orders_[ordered->first] = 0;
  pairs_.erase(ordered);
}

}  // namespace hairpind
