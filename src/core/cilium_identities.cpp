// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/cilium_identities.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace hairpind {
namespace {

// pkg/identity/numericidentity.go in github.com/cilium/cilium: reserved by their number, the same from 1.13 on (9 and
// 10 since 1.14).
constexpr std::array<std::string_view, 11> kReserved{
    "reserved:unknown", "reserved:host",       "reserved:world",       "reserved:unmanaged",
    "reserved:health",  "reserved:init",       "reserved:remote-node", "reserved:kube-apiserver",
    "reserved:ingress", "reserved:world-ipv4", "reserved:world-ipv6",
};
// MinimalNumericIdentity and LocalIdentityFlag there.
constexpr std::uint32_t kFirstAllocated = 256;
constexpr std::uint32_t kFirstLocal = 1U << 24U;

}  // namespace

std::vector<std::string> CiliumIdentities::labels(std::uint32_t identity) const {
  if (identity < kReserved.size()) {
    return {std::string(kReserved.at(identity))};
  }
  const auto found = asked_.find(identity);
  return found == asked_.end() ? std::vector<std::string>() : found->second.labels;
}

bool CiliumIdentities::is_to_be_asked(std::uint32_t identity, SinceBoot now) {
  if (identity < kFirstAllocated || identity >= kFirstLocal) {
    return false;
  }
  const auto found = asked_.find(identity);
  if (found != asked_.end() && now - found->second.when < kAskAgain) {
    return false;
  }
  if (found == asked_.end() && asked_.size() == kMost) {
    asked_.erase(std::ranges::min_element(asked_, {}, [](const auto& entry) { return entry.second.when; }));
  }
  asked_[identity].when = now;
  return true;
}

void CiliumIdentities::set(std::uint32_t identity, std::vector<std::string> labels) {
  // Of one that has been forgotten meanwhile nobody wants to know.
  if (const auto found = asked_.find(identity); found != asked_.end()) {
    found->second.labels = std::move(labels);
  }
}

}  // namespace hairpind
