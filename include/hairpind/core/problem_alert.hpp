// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hairpind/core/alert.hpp"
#include "hairpind/core/compose_alert.hpp"
#include "hairpind/core/incident_tracker.hpp"
#include "hairpind/core/placement.hpp"
#include "hairpind/core/problem.hpp"

namespace hairpind {

/// A problem as alerts tell of it.
ProblemReport report_of(const Problem& problem, const Placement& placement, WallTime::duration boot_to_wall);

/// That a problem is fixed or dormant. `newest`: the incident that was seen last, whose names the alert carries.
Alert compose_problem_alert(const ProblemReport& report, const IncidentCount& newest, WallTime now,
                            const AlertSources& sources);

/// `alert` opens again what was told to be `before`.
void add_reopening(Alert& alert, const ProblemReport& before);

}  // namespace hairpind
