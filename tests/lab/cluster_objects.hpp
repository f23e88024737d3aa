// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace hairpind::testing {

/// The lab's node, "n1", as an API server has it.
nlohmann::json lab_node();
/// A ready pod of the namespace shop on it, with the label `app`; its first address is the one that matters most.
nlohmann::json ready_pod(const std::string& name, const std::string& app, const std::vector<std::string>& addresses);

}  // namespace hairpind::testing
