// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "hairpind/core/alert.hpp"
#include "hairpind/core/compose_alert.hpp"
#include "hairpind/core/evidence.hpp"

namespace hairpind {

/// What an attempt's packets were, in the incident's own words. `count`: of the incident's attempts.
Alert compose_evidence(const Evidence& evidence, std::uint64_t count, const AlertSources& sources);

}  // namespace hairpind
