// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "schema.hpp"
#include "store.hpp"

namespace hairpind::testing {

// What the real server's validation says (pkg/apis/.../validation) of the objects that deploy/ has: not all of it, but
// what a mistake in a manifest or in a value of the chart would make wrong.

/// `field` is a type's: "V1ContainerPort.containerPort". Empty if nothing is wrong; the value has the field's type.
std::string fault_of_value(const std::string& field, const nlohmann::json& value);

/// What does not go together; each field by itself is as it should be.
std::vector<FieldFault> validate(const Resource& resource, const nlohmann::json& object);

}  // namespace hairpind::testing
