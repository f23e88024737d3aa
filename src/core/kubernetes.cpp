// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/kubernetes.hpp"

#include <algorithm>
#include <charconv>

namespace hairpind {

bool Service::selects(const Pod& pod) const {
  return !selector.empty() && pod.ref.namespace_name == namespace_name &&
         std::ranges::all_of(selector, [&](const auto& label) {
           const auto found = pod.labels.find(label.first);
           return found != pod.labels.end() && found->second == label.second;
         });
}

std::optional<KubernetesVersion> KubernetesVersion::parse(std::string_view text) {
  KubernetesVersion version;
  if (text.starts_with("v")) {
    text.remove_prefix(1);
  }
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto major = std::from_chars(begin, end, version.major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') {
    return std::nullopt;
  }
  const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
  return minor.ec == std::errc() ? std::optional(version) : std::nullopt;
}

std::string KubernetesVersion::to_string() const {
  return std::to_string(major) + "." + std::to_string(minor);
}

}  // namespace hairpind
