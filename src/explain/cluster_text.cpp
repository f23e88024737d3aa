// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <map>

#include "hairpind/core/text_columns.hpp"
#include "hairpind/explain/text.hpp"
#include "words.hpp"

namespace hairpind {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::size_t kIncidentsShown = 5;
constexpr std::size_t kProblemsExplained = 20;

enum Column : std::size_t {
  kNumber,
  kState,
  kBalancer,
  kService,
  kNodes,
  kClients,
  kAttempts,
  kSince,
  kLast,
  kCause,
  kColumns,
};

using Row = std::array<std::string, kColumns>;

constexpr std::array<std::string_view, kColumns> kHeads = {"#",       "STATE",    "LOAD BALANCER", "SERVICE", "NODES",
                                                           "CLIENTS", "ATTEMPTS", "SINCE",         "LAST",    "CAUSE"};
// A name may be as long as its writer likes; it stands whole below the table.
constexpr std::array<std::size_t, kColumns> kWidest = {5, 8, 46, 40, 5, 7, 20, 20, 20, 60};

Row row_of(const ToldProblem& problem, std::size_t number) {
  return {std::to_string(number),
          std::string(to_string(problem.state)),
          problem.load_balancer.at.address(),
          problem.load_balancer.service.empty() ? "-" : problem.load_balancer.service,
          std::to_string(problem.nodes.size()),
          std::to_string(problem.clients.size()),
          problem.attempts == 0 ? "-" : std::to_string(problem.attempts),
          short_time(problem.since),
          short_time(problem.last),
          problem.causes.empty() ? "-" : listed(problem.causes, 2)};
}

std::string colour_of(ToldState state, const TextStyle& style) {
  if (!style.colours) {
    return {};
  }
  switch (state) {
    case ToldState::kActive:
      return "\x1b[31m";
    case ToldState::kFixed:
      return "\x1b[32m";
    case ToldState::kDormant:
    case ToldState::kQuiet:
    case ToldState::kExposed:
      break;
  }
  return "\x1b[33m";
}

void add_table(std::string& text, const ClusterState& state, const TextStyle& style) {
  std::vector<Row> rows;
  rows.reserve(state.problems.size());
  for (const ToldProblem& problem : state.problems) {
    rows.push_back(row_of(problem, rows.size() + 1));
  }
  std::array<std::size_t, kColumns> widths{};
  for (std::size_t column = 0; column < kColumns; column++) {
    widths[column] = kHeads[column].size();
    for (const Row& row : rows) {
      widths[column] = std::max(widths[column], std::min(width_of_text(row[column]), kWidest[column]));
    }
  }
  const auto add = [&](const auto& cells, const std::string& colour) {
    std::string line;
    for (std::size_t column = 0; column < kColumns; column++) {
      const std::string cell = padded_text(clipped_text(cells[column], widths[column]), widths[column]);
      line += column == kState && !colour.empty() ? colour + cell + "\x1b[0m" : cell;
      line += kGap;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add(kHeads, "");
  for (std::size_t i = 0; i < rows.size(); i++) {
    add(rows[i], colour_of(state.problems[i].state, style));
  }
}

void add_folded(std::string& text, std::string_view head, const std::string& words, const TextStyle& style) {
  const std::size_t indent = width_of_text(head);
  bool first = true;
  for (const std::string& line : folded_text(words, std::max<std::size_t>(style.columns, indent + 40) - indent)) {
    text += (first ? std::string(head) : std::string(indent, ' ')) + line + "\n";
    first = false;
  }
}

void add_incident(std::string& text, const ToldIncident& incident, const TextStyle& style) {
  const ToldAlert& alert = incident.alert;
  std::string words = alert.incident + " on " + alert.node + ": " + named(alert.client.pod, alert.client.address()) +
                      ", answered by " +
                      (alert.responder ? named(alert.responder->pod, alert.responder->address()) : "nobody");
  words += ", " + counted(incident.attempts, "attempt");
  words += incident.packets.empty() ? "" : ", " + counted(incident.packets.size(), "packet");
  add_folded(text, "     incident ", words, style);
}

void add_problem(std::string& text, const ClusterState& state, std::size_t index, const TextStyle& style) {
  const ToldProblem& problem = state.problems[index];
  const std::string bold = style.colours ? "\x1b[1m" : "";
  const std::string plain = style.colours ? "\x1b[0m" : "";
  text += "\n" + bold + padded_text(std::to_string(index + 1), 3) + plain + "  " +
          named(problem.load_balancer.service, problem.load_balancer.at.address()) + ": " +
          colour_of(problem.state, style) + std::string(to_string(problem.state)) + plain + ", " +
          std::string(state_words(problem.state)) + "\n";
  for (const std::string& cause : problem.causes) {
    const std::string_view words = cause_words(cause);
    add_folded(text, "     cause: ", cause + (words.empty() ? "" : ", " + std::string(words)), style);
  }
  for (const ToldNode& node : problem.nodes) {
    if (!node.said.empty()) {
      add_folded(text, "     " + node.name + ": ", node.said, style);
    }
  }
  if (problem.nodes.size() > 1) {
    std::vector<std::string> nodes;
    nodes.reserve(problem.nodes.size());
    for (const ToldNode& node : problem.nodes) {
      nodes.push_back(node.name + " " + std::string(to_string(node.state)) + " (" + std::to_string(node.attempts) +
                      ")");
    }
    add_folded(text, "     nodes: ", listed(nodes, 8), style);
  }
  add_folded(text, "     clients: ", listed(problem.clients, 6), style);
  for (std::size_t i = 0; i < std::min(problem.incidents.size(), kIncidentsShown); i++) {
    add_incident(text, state.incidents[problem.incidents[i]], style);
  }
  if (problem.incidents.size() > kIncidentsShown) {
    text += "     and " + counted(problem.incidents.size() - kIncidentsShown, "more incident") + "\n";
  }
  if (!problem.hint.empty() && problem.state != ToldState::kFixed) {
    add_folded(text, "     what to do: ", problem.hint, style);
  }
  if (!problem.runbook.empty() && problem.state != ToldState::kFixed) {
    text += "     see: " + problem.runbook + "\n";
  }
}

}  // namespace

std::string cluster_text(const ClusterState& state, const TextStyle& style) {
  std::string text = counted(state.lines, "line") + " read, " + counted(state.alerts, "alert") + ", " +
                     std::to_string(state.passed_over) + " passed over; as of " + short_time(state.as_of) + "\n";
  if (state.problems.empty()) {
    return text + "No alert of hairpind: no connection was misdirected, as far as these lines tell.\n";
  }
  text += "\n";
  add_table(text, state, style);
  for (std::size_t i = 0; i < std::min(state.problems.size(), kProblemsExplained); i++) {
    add_problem(text, state, i, style);
  }
  if (state.problems.size() > kProblemsExplained) {
    text += "\nand " + counted(state.problems.size() - kProblemsExplained, "more problem") +
            " (-o json, -o html have all)\n";
  }
  if (state.problems.front().attempts > 0) {
    text += "\nPacket by packet: hairpind explain --incident " +
            state.incidents[state.problems.front().incidents.front()].alert.incident.substr(0, 6) + " ...\n";
  }
  return text;
}

}  // namespace hairpind
