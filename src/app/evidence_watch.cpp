// SPDX-License-Identifier: Apache-2.0
#include "evidence_watch.hpp"

#include <spdlog/spdlog.h>

#include "hairpind/core/compose_evidence.hpp"

namespace hairpind {

void EvidenceWatch::on_event(const Event& event, SinceBoot now) {
  collector_.on_event(event, now);
  give_orders();
}

void EvidenceWatch::on_turn(SinceBoot now) {
  collector_.on_turn(now);
  give_orders();
}

void EvidenceWatch::give_orders() {
  for (const auto& [pair, attempts] : collector_.take_orders()) {
    if (const auto set = kernel_.set_captures(pair, attempts); set) {
      static_cast<void>(ordering_.ends());
    } else if (ordering_.begins()) {
      spdlog::error("{}; alerts come without packets", set.error().message);
    }
  }
}

std::vector<Alert> EvidenceWatch::take_due(SinceBoot now, const AlertSources& sources) {
  std::vector<Alert> alerts;
  for (Evidence& evidence : collector_.take_due(now)) {
    Attempt& attempt = evidence.mismatch.attempt;
    const ConntrackAnswer answer = kernel_.ask_conntrack(attempt);
    attempt.conntrack = answer.conntrack;
    attempt.conntrack_source = answer.source;
    alerts.push_back(compose_evidence(evidence, kernel_.read_count(IncidentKey::of(attempt)).value_or(1), sources));
  }
  return alerts;
}

}  // namespace hairpind
