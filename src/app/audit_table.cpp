// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "audit_report.hpp"
#include "hairpind/core/printable.hpp"
#include "hairpind/core/text_columns.hpp"

namespace hairpind {
namespace {

// A name that is longer has a line of its own. In 120 columns the longest annotation then fits beside it.
constexpr std::size_t kWidestName = 36;
constexpr std::size_t kVerdictWidth = 8;
constexpr std::string_view kGap = "  ";

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  return width == 0 ? std::vector<std::string>{std::string(text)} : folded_text(text, width);
}

/// The columns of a table, and the last of them folded.
struct Layout {
  std::size_t name_width = 0;
  std::size_t text_width = 0;  ///< 0: as long as it is
};

void add_line(std::string& table, const Layout& layout, const std::string& name, std::string_view verdict,
              std::string_view text) {
  std::string line = padded_text(name, layout.name_width).append(kGap).append(padded_text(verdict, kVerdictWidth));
  line.append(kGap).append(text);
  line.erase(line.find_last_not_of(' ') + 1);
  table.append(line).append("\n");
}

void add_text(std::string& table, const Layout& layout, const std::string& name, std::string_view verdict,
              const std::string& text) {
  const std::vector<std::string> lines = wrapped(text, layout.text_width);
  for (const std::string& line : lines) {
    const bool first = &line == lines.data();
    add_line(table, layout, first ? name : "", first ? verdict : "", line);
  }
}

void add_row(std::string& table, const Layout& layout, const AuditRow& row) {
  std::string name = printable(row.title());
  if (width_of_text(name) > layout.name_width) {
    for (const std::string& line :
         wrapped(name, layout.text_width == 0 ? 0 : layout.name_width + kVerdictWidth + layout.text_width)) {
      table.append(line).append("\n");
    }
    name.clear();
  }
  add_text(table, layout, name, to_string(row.assessment.risk), printable(row.assessment.reason));
  const auto more = [&](const std::string& what, const std::string& text) {
    if (!text.empty()) {
      add_text(table, layout, "", "", what + ": " + printable(text));
    }
  };
  more("fix", row.assessment.fix);
  if (layout.text_width == 0) {
    more("see", row.assessment.link);
  }
  more("ignored", row.ignored.value_or(""));
  if (row.exposed_nodes && row.assessment.risk != Risk::kSafe) {
    more("today", "nodes that run a backend and other pods: " + std::to_string(*row.exposed_nodes));
  }
  more("at", row.place.file.empty() ? "" : row.place.file + ":" + std::to_string(row.place.line));
}

std::string summary(const AuditReport& report) {
  const auto services = std::ranges::count(report.rows, "Service", &AuditRow::kind);
  const auto others = static_cast<std::ptrdiff_t>(report.rows.size()) - services;
  const auto ignored = std::ranges::count_if(report.rows, [](const AuditRow& row) { return row.ignored.has_value(); });
  return std::to_string(services) + " Services of type LoadBalancer" +
         (others == 0 ? "" : " and " + std::to_string(others) + " other objects") + ": " +
         std::to_string(count(report, Risk::kAtRisk)) + " at risk, " + std::to_string(count(report, Risk::kUnknown)) +
         " unknown, " + std::to_string(count(report, Risk::kSafe)) + " safe" +
         (ignored == 0 ? "" : ", " + std::to_string(ignored) + " ignored") + " (" + std::to_string(report.objects) +
         " Kubernetes objects read)";
}

}  // namespace

std::string to_table(const AuditReport& report, std::size_t columns) {
  std::size_t name_width = std::string_view("SERVICE").size();
  for (const AuditRow& row : report.rows) {
    name_width = std::max(name_width, width_of_text(printable(row.title())));
  }
  name_width = columns == 0 ? name_width : std::min(name_width, kWidestName);
  const Layout layout{.name_width = name_width,
                      .text_width = columns == 0 ? 0 : columns - name_width - kVerdictWidth - 2 * kGap.size()};
  std::string table;
  add_line(table, layout, "SERVICE", "VERDICT", "WHY");
  for (const AuditRow& row : report.rows) {
    add_row(table, layout, row);
  }
  table += "\n";
  const std::string counts = summary(report);
  for (const std::string& line : wrapped(counts, columns)) {
    table.append(line).append("\n");
  }
  return table;
}

}  // namespace hairpind
