// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "hairpind/core/alert.hpp"

namespace hairpind {

/// One line, without the newline, of schema hairpind.alert/v1 (docs/alert-v1.schema.json).
std::string to_json(const Alert& alert);

}  // namespace hairpind
