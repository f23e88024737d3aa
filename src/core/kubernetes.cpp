// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/kubernetes.hpp"

#include <algorithm>

namespace hairpind {

bool Service::selects(const Pod& pod) const {
  return !selector.empty() && pod.ref.namespace_name == namespace_name &&
         std::ranges::all_of(selector, [&](const auto& label) {
           const auto found = pod.labels.find(label.first);
           return found != pod.labels.end() && found->second == label.second;
         });
}

}  // namespace hairpind
