// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "hairpind/core/printable.hpp"
#include "hairpind/core/rfc3339.hpp"
#include "html_text.hpp"
#include "segment.hpp"
#include "words.hpp"

namespace hairpind {
namespace {

constexpr std::size_t kMostIncidents = 20;  // of a problem

std::string pill(ToldState state) {
  return element("span", to_string(state), "pill " + std::string(to_string(state)));
}

std::string cell(std::string_view text, std::string_view class_name = "") {
  return element("td", text, class_name);
}

std::string card(std::size_t number, std::string_view what, std::string_view class_name = "") {
  return "<div class=\"card\">" + element("b", std::to_string(number), class_name) + markup(what) + "</div>\n";
}

void add_cards(std::string& page, const ClusterState& state, const std::vector<std::size_t>& problems) {
  std::vector<std::string> nodes;
  std::vector<std::string> clients;
  std::uint64_t attempts = 0;
  std::array<std::size_t, 5> states{};
  for (const std::size_t index : problems) {
    const ToldProblem& problem = state.problems[index];
    attempts += problem.attempts;
    states.at(static_cast<std::size_t>(problem.state))++;
    clients.insert(clients.end(), problem.clients.begin(), problem.clients.end());
    for (const ToldNode& node : problem.nodes) {
      nodes.push_back(node.name);
    }
  }
  const auto distinct = [](std::vector<std::string>& names) {
    std::ranges::sort(names);
    return static_cast<std::size_t>(std::ranges::unique(names).begin() - names.begin());
  };
  page += "<div class=\"cards\">\n";
  for (const ToldState one :
       {ToldState::kActive, ToldState::kDormant, ToldState::kQuiet, ToldState::kExposed, ToldState::kFixed}) {
    if (const std::size_t number = states.at(static_cast<std::size_t>(one)); number > 0) {
      page += card(number, to_string(one), to_string(one));
    }
  }
  page += card(attempts, "attempts misdirected") + card(distinct(nodes), "nodes") + card(distinct(clients), "clients");
  page += "</div>\n";
}

void add_problem_row(std::string& page, const ToldProblem& problem) {
  page += "<tr><td>" + pill(problem.state) + "</td>";
  page += cell(problem.load_balancer.at.address(), "mono");
  page += cell(problem.load_balancer.service.empty() ? "-" : problem.load_balancer.service);
  page += cell(std::to_string(problem.nodes.size()), "number") +
          cell(std::to_string(problem.clients.size()), "number") + cell(std::to_string(problem.attempts), "number");
  page += cell(short_time(problem.since), "nowrap") + cell(short_time(problem.last), "nowrap");
  page += cell(problem.causes.empty() ? "-" : listed(problem.causes, 3)) + "</tr>\n";
}

void add_fact(std::string& page, std::string_view name, const std::string& value) {
  if (!value.empty()) {
    page += element("dt", name) + element("dd", value) + "\n";
  }
}

void add_nodes(std::string& page, const ToldProblem& problem) {
  page +=
      "<div class=\"scroll\"><table><tr><th>node</th><th>state</th><th class=\"number\">attempts</th><th>since</th>"
      "<th>last</th><th>what was told</th></tr>\n";
  for (const ToldNode& node : problem.nodes) {
    page += "<tr>" + cell(node.name) + "<td>" + pill(node.state) + "</td>" +
            cell(std::to_string(node.attempts), "number") + cell(short_time(node.since), "nowrap") +
            cell(short_time(node.last), "nowrap") +
            cell(node.said.empty() ? state_words(node.state) : node.said, "wide") + "</tr>\n";
  }
  page += "</table></div>\n";
}

void add_changes(std::string& page, const ToldProblem& problem) {
  if (problem.changes.size() < 2) {
    return;
  }
  page += "<h4>What became of it</h4>\n<div class=\"scroll\"><table class=\"compact\">\n";
  for (const ToldChange& change : problem.changes) {
    page += "<tr>" + cell(short_time(change.time), "nowrap") + cell(change.what) + cell(change.node) + "</tr>\n";
  }
  page += "</table></div>\n";
}

void add_steps(std::string& page, const Ladder& ladder) {
  page +=
      "<h4>Evidence</h4>\n<div class=\"scroll\"><table><tr><th class=\"number\">#</th><th>time</th><th>seen</th>"
      "<th>packet</th><th>what happened</th><th>what should have</th></tr>\n";
  for (std::size_t i = 0; i < ladder.steps.size(); i++) {
    const Step& step = ladder.steps[i];
    std::string time = step.time ? to_rfc3339(*step.time).substr(11) : "";
    const std::string offset = offset_text(step);
    time += time.empty() || offset.empty() ? offset : " (" + offset + ")";
    page += "<tr>" + cell(std::to_string(i + 1), "number") + cell(time, "nowrap mono") +
            cell(step.where, "nowrap mono") + cell(step.label, "nowrap mono") +
            cell(step.meaning, step.instead.empty() ? "wide" : "wide bad") + cell(step.instead, "wide") + "</tr>\n";
  }
  page += "</table></div>\n";
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xfU];
  }
  return text;
}

/// The bytes themselves, for who wants to check.
void add_packets(std::string& page, const ToldIncident& incident) {
  constexpr std::size_t kMostBytes = 96;
  page +=
      "<h4>Packets as captured, from the network header</h4>\n<div class=\"scroll\"><table><tr><th>time</th>"
      "<th>hook</th><th>device</th><th>from</th><th>to</th><th class=\"number\">length</th><th>bytes</th></tr>\n";
  for (const ToldPacket& packet : incident.packets) {
    if (packet.data.empty()) {
      continue;
    }
    const auto segment = parse_segment(packet.data);
    page += "<tr>" + cell(packet.time ? to_rfc3339(*packet.time) : "", "nowrap mono") + cell(packet.hook, "mono") +
            cell(packet.interface, "mono") + cell(segment ? segment->source.to_string() : "", "mono") +
            cell(segment ? segment->destination.to_string() : "", "mono") +
            cell(std::to_string(packet.length), "number") +
            cell(hex(std::string_view(packet.data).substr(0, kMostBytes)), "mono wide hex") + "</tr>\n";
  }
  page += "</table></div>\n";
}

void add_incident(std::string& page, const ToldIncident& incident) {
  const ToldAlert& alert = incident.alert;
  const Ladder ladder = ladder_of(incident);
  page += "<article>\n<h3>Incident <code>" + markup(alert.incident) + "</code> on " + markup(alert.node) + "</h3>\n";
  page += element("p", alert.message) + "\n<dl>\n";
  const std::string_view words = cause_words(alert.cause);
  add_fact(page, "cause", alert.cause + (words.empty() ? "" : ": " + std::string(words)));
  add_fact(page, "client",
           named(alert.client.pod, alert.client.address()) +
               (alert.client.workload.empty() ? "" : ", of " + alert.client.workload));
  add_fact(page, "answered by", alert.responder ? named(alert.responder->pod, alert.responder->address()) : "nobody");
  add_fact(page, "target",
           alert.backend && ladder.participants.size() > 3 ? named(alert.backend->pod, alert.backend->address()) : "");
  add_fact(page, "attempts",
           std::to_string(incident.attempts) + ", " + to_rfc3339(incident.since) + " to " + to_rfc3339(incident.last));
  add_fact(page, "outcome", outcome_words(alert));
  if (alert.evidence) {
    const ToldEvidence& evidence = *alert.evidence;
    add_fact(page, "acknowledges the very SYN", evidence.isn_match ? "yes" : "no");
    add_fact(page, "SYN came back", evidence.returned_syn ? "yes, with the client's address kept" : "not seen");
    add_fact(page, "conntrack", evidence.conntrack + " (asked: " + evidence.conntrack_source + ")");
  }
  page += "</dl>\n";
  if (!ladder.steps.empty()) {
    page += ladder_svg(ladder);
    page += element("p",
                    ladder.captured ? "Drawn from captured packets."
                                    : "Drawn from the alert's own evidence; no packets were captured for it.",
                    "soft");
    add_steps(page, ladder);
  }
  if (ladder.captured) {
    add_packets(page, incident);
  }
  page += "</article>\n";
}

}  // namespace

std::string summary_section(const ClusterState& state, const std::vector<std::size_t>& problems) {
  std::string page = "<header>\n<h1>Connections answered past their load balancer</h1>\n";
  page += element("p",
                  "hairpind, as of " + short_time(state.as_of) + ": " + counted(state.lines, "line") + " read, " +
                      counted(state.alerts, "alert") + ", " + std::to_string(state.passed_over) + " passed over",
                  "soft") +
          "\n</header>\n";
  for (const std::string& note : state.notes) {
    page += element("p", "Note: " + note, "quiet") + "\n";
  }
  if (problems.empty()) {
    return page + "<p>No alert of hairpind: no connection was misdirected, as far as these lines tell.</p>\n";
  }
  add_cards(page, state, problems);
  page +=
      "<div class=\"scroll\"><table><tr><th>state</th><th>load balancer</th><th>Service</th><th class=\"number\">nodes"
      "</th><th class=\"number\">clients</th><th class=\"number\">attempts</th><th>since</th><th>last</th><th>cause"
      "</th></tr>\n";
  for (const std::size_t index : problems) {
    add_problem_row(page, state.problems[index]);
  }
  page += "</table></div>\n<h2>Timeline</h2>\n<div class=\"scroll\">" + timeline_svg(state, problems) + "</div>\n";
  return page;
}

std::string problem_section(const ClusterState& state, std::size_t index, std::string_view incident) {
  const ToldProblem& problem = state.problems[index];
  std::string page = "<section>\n<h2>" +
                     markup(named(problem.load_balancer.service, problem.load_balancer.at.address())) + " " +
                     pill(problem.state) + "</h2>\n";
  page += element("p", state_words(problem.state), "soft") + "\n";
  add_nodes(page, problem);
  add_changes(page, problem);
  if (!problem.hint.empty() && problem.state != ToldState::kFixed) {
    page += "<div class=\"fix\"><strong>What to do</strong>" + element("p", problem.hint);
    page += problem.runbook.empty() ? "" : element("p", "See " + problem.runbook, "soft");
    page += "</div>\n";
  }
  std::size_t shown = 0;
  for (const std::size_t number : problem.incidents) {
    const bool wanted = incident.empty() || state.incidents[number].alert.incident == incident;
    if (wanted && shown++ < kMostIncidents) {
      add_incident(page, state.incidents[number]);
    }
  }
  if (shown > kMostIncidents) {
    page += element("p",
                    "and " + counted(shown - kMostIncidents, "more incident") +
                        ": hairpind explain --incident ID -o html shows one",
                    "soft");
  }
  return page + "</section>\n";
}

}  // namespace hairpind
