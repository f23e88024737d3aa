// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdio>

#include "hairpind/core/rfc3339.hpp"
#include "hairpind/core/text_columns.hpp"
#include "hairpind/explain/ladder.hpp"
#include "hairpind/explain/text.hpp"
#include "words.hpp"

namespace hairpind {
namespace {

constexpr std::size_t kTimeWidth = 14;  // "+123456.789 ms"
constexpr std::size_t kLeastLane = 30;  // room for "SYN-ACK ack=4294967295" and an arrow
constexpr std::size_t kMostLane = 44;
constexpr std::size_t kLeastWords = 36;

struct Layout {
  std::size_t lane = kLeastLane;  ///< from one column's bar to the next
  std::size_t columns = 0;
  std::size_t words = kLeastWords;
  bool colours = false;

  [[nodiscard]] std::size_t bar(std::size_t column) const { return kTimeWidth + 2 + column * lane; }
  [[nodiscard]] std::size_t width() const { return bar(columns - 1) + 1; }
};

Layout layout_of(const Ladder& ladder, const TextStyle& style) {
  Layout layout{.columns = ladder.participants.size(), .colours = style.colours};
  for (const Participant& participant : ladder.participants) {
    layout.lane = std::max(layout.lane, std::min(width_of_text(participant.address) + 2, kMostLane));
  }
  layout.words = std::max(kLeastWords, style.columns - std::min(style.columns, layout.width() + 3));
  return layout;
}

std::string bars(const Layout& layout) {
  std::string line(layout.width(), ' ');
  for (std::size_t i = 0; i < layout.columns; i++) {
    line[layout.bar(i)] = '|';
  }
  return line;
}

/// "|-- SYN seq=1 ------>|" between two bars, or "* drop" at one.
void draw(std::string& line, const Layout& layout, const Step& step) {
  // Bytes must be characters here; only a hook's name, which anybody may have written, can be anything else.
  const bool plain = width_of_text(step.label) == step.label.size();
  const std::string label = plain ? clipped_text(step.label, layout.lane - 6) : "?";
  if (step.from == step.to) {
    const std::size_t at = layout.bar(step.from);
    const bool last = step.from + 1 == layout.columns;
    // The last column has no room to its right.
    line.replace(last ? at - label.size() - 2 : at, label.size() + 2, last ? label + " *" : "* " + label);
    return;
  }
  const std::size_t left = layout.bar(std::min(step.from, step.to));
  const std::size_t right = layout.bar(std::max(step.from, step.to));
  const std::string arrow = "-- " + label + " ";
  const bool rightward = step.to > step.from;
  std::string shaft = (rightward ? "" : "<") + arrow;
  shaft.append(right - left - 1 - shaft.size() - (rightward ? 1 : 0), '-');
  shaft += rightward ? ">" : "";
  line.replace(left + 1, shaft.size(), shaft);
}

std::string offset_of(const Step& step) {
  if (!step.offset) {
    return {};
  }
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(*step.offset).count();
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%+.3f ms", static_cast<double>(microseconds) / 1000.0);
  return text.data();
}

/// `said`: what should have been was said of the step before.
void add_step(std::string& text, const Layout& layout, const Step& step, std::size_t attempt, bool said) {
  if (step.new_attempt) {
    text += bars(layout) + "\n" + bars(layout) + "   attempt " + std::to_string(attempt) + "\n";
  }
  const std::string red = layout.colours ? "\x1b[31m" : "";
  const std::string dim = layout.colours ? "\x1b[2m" : "";
  const std::string plain = layout.colours ? "\x1b[0m" : "";
  const std::string where = step.where.empty() ? "" : " (" + step.where + ")";
  std::vector<std::string> words = folded_text((step.instead.empty() ? "" : "x ") + step.meaning + where, layout.words);
  const std::size_t happened = words.size();
  if (!step.instead.empty() && !said) {
    for (const std::string& line : folded_text("should be: " + step.instead, layout.words - 2)) {
      words.push_back("  " + line);
    }
  }
  for (std::size_t i = 0; i < words.size(); i++) {
    std::string line = bars(layout);
    if (i == 0) {
      const std::string offset = offset_of(step);
      line.replace(0, offset.size(), offset);
      draw(line, layout, step);
    }
    std::string before;
    if (i >= happened) {
      before = dim;
    } else if (!step.instead.empty()) {
      before = red;
    }
    text.append(line).append("   ").append(before).append(words[i]).append(before.empty() ? "" : plain).append("\n");
  }
}

void add_heads(std::string& text, const Layout& layout, const Ladder& ladder) {
  std::string roles(layout.bar(0), ' ');
  std::string addresses = roles;
  for (const Participant& participant : ladder.participants) {
    roles += padded_text(clipped_text(participant.role, layout.lane - 2), layout.lane);
    addresses += padded_text(clipped_text(participant.address, layout.lane - 2), layout.lane);
  }
  for (std::string* const line : {&roles, &addresses}) {
    line->erase(line->find_last_not_of(' ') + 1);
    text += *line + "\n";
  }
  text += bars(layout) + "\n";
}

void add_line(std::string& text, std::string_view head, const std::string& words, const TextStyle& style) {
  if (words.empty()) {
    return;
  }
  const std::string begin = "  " + padded_text(head, 15);
  bool first = true;
  for (const std::string& line : folded_text(words, std::max<std::size_t>(style.columns, 60) - begin.size())) {
    text += (first ? begin : std::string(begin.size(), ' ')) + line + "\n";
    first = false;
  }
}

std::string balancer_words(const ToldLoadBalancer& load_balancer) {
  std::string text = named(load_balancer.service, load_balancer.at.address());
  text += load_balancer.hostname.empty() ? "" : ", " + load_balancer.hostname;
  return load_balancer.origin == "learned" ? text + ", found by a SYN that it sent back" : text;
}

void add_incident(std::string& text, const ToldIncident& incident, const TextStyle& style) {
  const ToldAlert& alert = incident.alert;
  const Ladder ladder = ladder_of(incident);
  const Layout layout = layout_of(ladder, style);
  const std::string bold = style.colours ? "\x1b[1m" : "";
  const std::string plain = style.colours ? "\x1b[0m" : "";
  text += bold + "incident " + alert.incident + plain + "  " + alert.severity + "\n";
  add_line(text, "cause",
           alert.cause + (cause_words(alert.cause).empty() ? "" : ": ") + std::string(cause_words(alert.cause)), style);
  add_line(text, "node", alert.node, style);
  add_line(text, "client",
           named(alert.client.pod, alert.client.address()) +
               (alert.client.workload.empty() ? "" : ", of " + alert.client.workload),
           style);
  add_line(text, "answered by", alert.responder ? named(alert.responder->pod, alert.responder->address()) : "", style);
  add_line(text, "target",
           alert.backend && ladder.participants.size() > 3 ? named(alert.backend->pod, alert.backend->address()) : "",
           style);
  add_line(text, "load balancer", balancer_words(alert.load_balancer), style);
  add_line(text, "attempts",
           std::to_string(incident.attempts) + " misdirected, " + to_rfc3339(incident.since) + " to " +
               to_rfc3339(incident.last),
           style);
  text += "\n";
  add_heads(text, layout, ladder);
  std::size_t attempt = 1;
  std::string_view before;
  for (const Step& step : ladder.steps) {
    attempt += step.new_attempt ? 1 : 0;
    add_step(text, layout, step, attempt, step.instead == before);
    before = step.instead;
  }
  text += "\n";
  const auto first = std::ranges::find_if(ladder.steps, [](const Step& step) { return step.time.has_value(); });
  if (!ladder.captured) {
    add_line(text, "times", "of the alert's own evidence; no packets were captured for it", style);
  } else if (first != ladder.steps.end()) {
    add_line(text, "times", "since " + to_rfc3339(*first->time) + " (each attempt's first packet)", style);
  }
  add_line(text, "outcome", outcome_words(alert), style);
  if (alert.evidence && !alert.evidence->conntrack.empty()) {
    add_line(text, "conntrack", alert.evidence->conntrack + " (asked: " + alert.evidence->conntrack_source + ")",
             style);
  }
  add_line(text, "said", alert.message, style);
  add_line(text, "what to do", alert.hint, style);
  add_line(text, "see", alert.runbook, style);
}

}  // namespace

std::string incident_text(const ClusterState& state, std::string_view incident, const TextStyle& style) {
  std::string text;
  for (const ToldIncident& told : state.incidents) {
    if (told.alert.incident == incident) {
      text += text.empty() ? "" : "\n";
      add_incident(text, told, style);
    }
  }
  return text;
}

}  // namespace hairpind
