// SPDX-License-Identifier: Apache-2.0
#include "audit_report.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace hairpind {
namespace {

constexpr std::string_view kIgnore = "hairpind.dev/ignore";

/// The reason somebody gave. Without one the row counts: a gate is not left open by an empty word.
std::optional<std::string> ignored_by(const std::map<std::string, std::string>& annotations) {
  const auto found = annotations.find(std::string(kIgnore));
  const bool said = found != annotations.end() && found->second.find_first_not_of(" \t\r\n") != std::string::npos;
  return said ? std::optional(found->second) : std::nullopt;
}

}  // namespace

AuditRow row_of(const Service& service, const Place& place, const ClusterFacts& facts) {
  return {.kind = "Service",
          .namespace_name = service.namespace_name,
          .name = service.name,
          .assessment = assess(service, facts),
          .ignored = ignored_by(service.annotations),
          .place = place};
}

AuditRow row_of(const LoadBalancerObject& object, const Place& place) {
  return {.kind = object.kind,
          .namespace_name = object.namespace_name,
          .name = object.name,
          .assessment = assess(object),
          .ignored = ignored_by(object.annotations),
          .place = place};
}

void sort_rows(AuditReport& report) {
  std::ranges::sort(report.rows, {}, [](const AuditRow& row) {
    return std::make_tuple(row.kind != "Service", std::string_view(row.kind), std::string_view(row.namespace_name),
                           std::string_view(row.name), std::string_view(row.place.file), row.place.line);
  });
}

std::size_t count(const AuditReport& report, Risk risk) {
  return static_cast<std::size_t>(std::ranges::count_if(
      report.rows, [&](const AuditRow& row) { return row.assessment.risk == risk && !row.ignored; }));
}

}  // namespace hairpind
