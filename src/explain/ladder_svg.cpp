// SPDX-License-Identifier: Apache-2.0
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "hairpind/core/printable.hpp"
#include "hairpind/core/text_columns.hpp"
#include "html_text.hpp"
#include "words.hpp"

namespace hairpind {
namespace {

constexpr int kLane = 200;  // between two bars
constexpr int kMargin = 95;
constexpr int kHead = 52;
constexpr int kRow = 36;
constexpr int kBadge = 9;

constexpr int kTimelineWidth = 1100;
constexpr int kTimelineLeft = 300;
constexpr int kTimelineRight = 1080;
constexpr int kTimelineRow = 30;
constexpr std::size_t kTimelineRows = 40;
constexpr int kTicks = 3;
constexpr std::array<std::string_view, kTicks + 1> kAnchors = {"start", "middle", "middle", "end"};

int bar(std::size_t column) {
  return kMargin + static_cast<int>(column) * kLane;
}

std::string svg_text(int x, int y, std::string_view anchor, std::string_view attributes, std::string_view text) {
  return fmt::format(R"(<text x="{}" y="{}" text-anchor="{}" {}>{}</text>)", x, y, anchor, attributes, markup(text));
}

void draw_step(std::string& svg, const Step& step, std::size_t number, int y, bool numbered) {
  const int from = bar(step.from);
  const int to = bar(step.to);
  const std::string_view happened = step.instead.empty() ? "plain" : "bad";
  svg += fmt::format(R"(<g class="{}">)", numbered ? happened : "good");
  const std::string label = clipped_text(step.label, 26);
  if (from == to) {
    svg += fmt::format(R"(<path class="arrow" d="M{} {}l10 10m0 -10l-10 10"/>)", from - 5, y - 5);
    svg += svg_text(from + 14, y + 4, "start", R"(class="label")", label);
  } else {
    const int towards = to > from ? -9 : 9;
    svg += fmt::format(R"(<path class="arrow" d="M{} {}H{}"/>)", from, y, to + towards);
    svg += fmt::format(R"(<path class="head" d="M{} {}l{} -5v10z"/>)", to, y, towards);
    // Above the arrow, in the lane where it begins, so that labels of long arrows meet no bar.
    const int middle = from + (to > from ? kLane : -kLane) / 2;
    svg += svg_text(middle, y - 6, "middle", R"(class="label")", label);
  }
  if (numbered) {
    const int beside = kBadge + (from == to ? 12 : 6);
    const int badge = from + (to >= from ? -beside : beside);
    svg += fmt::format(R"(<circle class="badge" cx="{}" cy="{}" r="{}"/>)", badge, y, kBadge);
    svg += svg_text(badge, y + 4, "middle", R"(class="badge-text")", std::to_string(number));
  }
  svg += "</g>\n";
}

std::string draw(const Ladder& ladder, const std::vector<Step>& steps, std::string_view title, bool numbered) {
  const int width = bar(ladder.participants.size() - 1) + kMargin;
  const int height = kHead + kRow * static_cast<int>(steps.size()) + 26;
  std::string svg =
      fmt::format("<figure>{}<svg class=\"ladder\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
                  element("figcaption", title), width, height, markup(title));
  for (std::size_t i = 0; i < ladder.participants.size(); i++) {
    const Participant& participant = ladder.participants[i];
    svg += fmt::format(R"(<path class="bar" d="M{} {}V{}"/>)", bar(i), kHead - 8, height - 4);
    svg += svg_text(bar(i), 16, "middle", R"(font-size="13" font-weight="600")", participant.role);
    svg += svg_text(bar(i), 34, "middle", R"(font-size="12" class="soft")",
                    clipped_text(participant.address.empty() ? participant.name : participant.address, 27));
    svg += "\n";
  }
  int y = kHead + 24;
  for (std::size_t i = 0; i < steps.size(); i++) {
    draw_step(svg, steps[i], i + 1, y, numbered);
    y += kRow;
  }
  return svg + "</svg></figure>\n";
}

/// Where a time stands between the first and the last.
struct Axis {
  WallTime from;
  WallTime to;

  [[nodiscard]] int at(WallTime time) const {
    const auto all = std::chrono::duration<double>(std::max(to - from, WallTime::duration(1))).count();
    const auto part = std::chrono::duration<double>(std::clamp(time, from, to) - from).count();
    return kTimelineLeft + static_cast<int>((kTimelineRight - kTimelineLeft) * part / all);
  }
};

std::string_view class_of(const std::string& change) {
  if (change == "fixed") {
    return "fixed";
  }
  return change == "dormant" ? "dormant" : "active";
}

void draw_row(std::string& svg, const ToldProblem& problem, const Axis& axis, int y) {
  svg += svg_text(0, y + 5, "start", R"(font-size="13")",
                  clipped_text(problem.load_balancer.service.empty() ? problem.load_balancer.at.address()
                                                                     : problem.load_balancer.service,
                               38));
  const int from = axis.at(problem.since);
  svg += fmt::format(R"(<g class="{}"><rect class="span" x="{}" y="{}" width="{}" height="10" rx="3"/></g>)",
                     to_string(problem.state), from, y - 5, std::max(axis.at(problem.last) - from, 3));
  for (const ToldChange& change : problem.changes) {
    svg += fmt::format(R"(<g class="{}"><circle class="mark" cx="{}" cy="{}" r="6"><title>{}</title></circle></g>)",
                       class_of(change.what), axis.at(change.time), y,
                       markup(change.what + " on " + change.node + ", " + short_time(change.time)));
  }
  svg += "\n";
}

}  // namespace

std::string offset_text(const Step& step) {
  return step.offset ? fmt::format("{:+.3f} ms", std::chrono::duration<double, std::milli>(*step.offset).count()) : "";
}

std::string ladder_svg(const Ladder& ladder) {
  return "<div class=\"ladders\">\n" + draw(ladder, ladder.steps, "What happened", true) +
         draw(ladder, ladder.expected, "What should have happened", false) + "</div>\n";
}

std::string timeline_svg(const ClusterState& state, const std::vector<std::size_t>& problems) {
  const std::size_t rows = std::min(problems.size(), kTimelineRows);
  Axis axis{.from = state.problems[problems.front()].since, .to = {}};
  for (const std::size_t index : problems) {
    const ToldProblem& problem = state.problems[index];
    axis.from = std::min(axis.from, problem.since);
    axis.to = std::max({axis.to, problem.last, problem.changes.empty() ? problem.last : problem.changes.back().time});
  }
  const int bottom = kTimelineRow * static_cast<int>(rows) + 10;
  std::string svg = fmt::format("<svg class=\"timeline\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Timeline\">\n",
                                kTimelineWidth, bottom + 28);
  for (int i = 0; i <= kTicks; i++) {
    // The last is the end itself: what the division leaves would be a second less.
    const WallTime time = i == kTicks ? axis.to : axis.from + (axis.to - axis.from) / kTicks * i;
    const std::string_view anchor = kAnchors.at(static_cast<std::size_t>(i));
    svg += fmt::format(R"(<path class="bar" d="M{} 0V{}"/>)", axis.at(time), bottom);
    svg += svg_text(axis.at(time), bottom + 18, anchor, R"(font-size="12" class="soft")", short_time(time));
    svg += "\n";
  }
  for (std::size_t i = 0; i < rows; i++) {
    draw_row(svg, state.problems[problems[i]], axis, kTimelineRow * static_cast<int>(i) + 18);
  }
  svg += "</svg>";
  if (problems.size() > rows) {
    svg += element("p", "and " + counted(problems.size() - rows, "more problem"), "soft");
  }
  return svg + element("p",
                       "A bar reaches from the first misdirected attempt to the last; marks are alerts that opened, "
                       "reopened, put to rest or closed a problem.",
                       "soft");
}

}  // namespace hairpind
