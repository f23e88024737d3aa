// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "hairpind/core/preservation.hpp"
#include "hairpind/kube/manifests.hpp"

namespace hairpind {

/// One line of an audit: an object that makes a load balancer, and what is to be said of it.
struct AuditRow {
  std::string kind;
  std::string namespace_name;
  std::string name;
  Assessment assessment;
  std::optional<std::string> ignored = std::nullopt;  ///< why somebody took it out of the gate
  // NOLINTNEXTLINE(readability-redundant-member-init): g++ warns of designated initializers that leave it out
  Place place{};  ///< no file: from a cluster
  std::optional<std::size_t> exposed_nodes =
      std::nullopt;  ///< that run a backend and another pod today; nullopt without a cluster

  /// "namespace/name", with the kind before it where that is no Service.
  [[nodiscard]] std::string title() const {
    return (kind == "Service" ? "" : kind + " ") + namespace_name + "/" + name;
  }
};

struct AuditReport {
  std::vector<AuditRow> rows;  ///< by kind, namespace, name; Services first
  std::size_t objects = 0;     ///< Kubernetes objects that were read
  // NOLINTBEGIN(readability-redundant-member-init): likewise
  std::vector<std::string> notes{};   ///< what was passed over
  std::vector<std::string> errors{};  ///< what could not be read
  // NOLINTEND(readability-redundant-member-init)
};

AuditRow row_of(const Service& service, const Place& place, const ClusterFacts& facts);
AuditRow row_of(const LoadBalancerObject& object, const Place& place);
void sort_rows(AuditReport& report);

/// How many rows count: those nobody ignores.
std::size_t count(const AuditReport& report, Risk risk);

// The formats. Each gives the whole text for stdout, to its last line break; none passes on a control character.

/// Fits `columns` columns; 0: one line for each fact, however long.
std::string to_table(const AuditReport& report, std::size_t columns);
/// Schema hairpind.audit/v1.
std::string to_json(const AuditReport& report);
std::string to_yaml(const AuditReport& report);
/// SARIF 2.1.0 (OASIS), for code scanning.
std::string to_sarif(const AuditReport& report);
/// What counts as a failure is what the gate fails on.
std::string to_junit(const AuditReport& report, bool fail_on_unknown);
/// Workflow commands of GitHub Actions, which become annotations at the file's line.
std::string to_github(const AuditReport& report);

}  // namespace hairpind
