// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/problem_alert.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <string_view>

#include "alert_message.hpp"
#include "hairpind/core/printable.hpp"

namespace hairpind {
namespace {

constexpr std::size_t kNamed = 16;
constexpr std::size_t kNamedInMessage = 3;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kNamedInMessage); i++) {
    text += (i == 0 ? "" : ", ") + names.at(i);
  }
  return names.size() > kNamedInMessage ? text + " and others" : text;
}

std::string load_balancer(const Alert& alert) {
  const std::string address = alert.load_balancer.to_string();
  return alert.load_balancer_service ? alert.load_balancer_service->full_name() + " (" + address + ")" : address;
}

std::string until_then(const ProblemReport& report) {
  return std::to_string(report.mismatched) + (report.mismatched == 1 ? " attempt was" : " attempts were") +
         " misdirected until then";
}

std::string proven_by(const ProblemReport& report) {
  if (report.proof == FixProof::kSameNodePath) {
    return "since then " + std::to_string(report.same_node_answers) +
           " went to a target on this node and were answered by it: the path that failed";
  }
  std::array<char, 96> odds{};
  std::snprintf(odds.data(), odds.size(), "at least %.1f%% failed before; by chance: %.2g", report.share * 100,
                report.chance);
  return "the " + std::to_string(report.run) + " since then, with a target here, were all answered (" + odds.data() +
         ")";
}

constexpr std::string_view kDormantHint =
    "Do not close it: nothing has changed but the placement, and it comes back with the next target that is placed "
    "beside a client. ";

}  // namespace

ProblemReport report_of(const Problem& problem, const Placement& placement, WallTime::duration boot_to_wall) {
  ProblemReport report{.state = problem.state().value_or(ProblemState::kQuiet),
                       .opened = WallTime(problem.opened() + boot_to_wall),
                       .last_mismatch = WallTime(problem.last_mismatch() + boot_to_wall),
                       .mismatched = problem.mismatched(),
                       .answered = problem.answered(),
                       .reopenings = problem.reopenings(),
                       .proof = problem.proof(),
                       .same_node_answers = problem.same_node_answers(),
                       .run = problem.run(),
                       .share = problem.share(),
                       .chance = problem.chance(),
                       .why = std::nullopt};
  if (const auto gone = problem.gone_since(); gone && report.state == ProblemState::kDormant) {
    report.why = Departure{.targets = problem.target_left(),
                           .who = problem.target_left() ? placement.target_names() : placement.client_names(),
                           .when = WallTime(*gone + boot_to_wall)};
    report.why->who.resize(std::min(report.why->who.size(), kNamed));
  }
  return report;
}

Alert compose_problem_alert(const ProblemReport& report, const IncidentCount& newest, WallTime now,
                            const AlertSources& sources) {
  const bool fixed = report.state == ProblemState::kFixed;
  Alert alert = compose_alert(
      {.event = fixed ? AlertEvent::kAsymmetricHandshakeResolved : AlertEvent::kAsymmetricHandshakeDormant,
       .key = newest.key,
       .count = report.mismatched,
       .time = newest.last_event,
       .example = newest.example,
       .drop_symbol = ""},
      sources);
  alert.time = now;
  alert.severity = fixed ? Severity::kInfo : Severity::kWarning;
  if (fixed) {
    alert.message = "connections to load balancer " + load_balancer(alert) + " work again: " + until_then(report) +
                    ", " + proven_by(report);
    alert.hint = "Nothing is left to do here. Other nodes tell for themselves, and a failure opens it again.";
  } else {
    const Departure why = report.why.value_or(Departure{});
    const std::string who = why.who.empty() ? "" : " (" + joined(why.who) + ")";
    alert.message = "load balancer " + load_balancer(alert) +
                    " is quiet, not fixed: " + (why.targets ? "its target" : "the client that failed") + who +
                    " has left this node; " + until_then(report) + ", and it comes back with the next such placement";
    alert.hint.insert(0, kDormantHint);
  }
  alert.message = printable(alert.message, kMostOfAMessage);
  alert.problem = report;
  return alert;
}

void add_reopening(Alert& alert, const ProblemReport& before) {
  const std::string attempts = before.mismatched == 1 ? " attempt before: " : " attempts before: ";
  std::string message = (before.state == ProblemState::kFixed ? "had looked fixed, " : "back after it was dormant, ") +
                        std::to_string(before.mismatched) + attempts + alert.message;
  // What became of the answer goes first: that it is back is more.
  if (const std::size_t ending = message.rfind("; "); message.size() > kMostOfAMessage && ending != std::string::npos) {
    message.resize(ending);
  }
  alert.message = printable(message, kMostOfAMessage);
  alert.problem = before;
}

}  // namespace hairpind
