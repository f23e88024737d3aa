// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/verification.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace hairpind {
namespace {

constexpr double kDoubt = 0.001;

/// The smallest that at least this share of the sorted values does not exceed (nearest rank).
std::chrono::microseconds percentile(const std::vector<std::chrono::microseconds>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted.at(std::max<std::size_t>(rank, 1) - 1);
}

}  // namespace

Verification Verification::of(const std::vector<TriedHandshake>& tried) {
  Verification result;
  std::vector<std::chrono::microseconds> latencies;
  for (const TriedHandshake& handshake : tried) {
    switch (handshake.ended) {
      case Handshake::kAnswered:
        result.answered++;
        latencies.push_back(handshake.took);
        break;
      case Handshake::kRefused:
        result.refused++;
        break;
      case Handshake::kUnanswered:
        result.unanswered++;
        break;
    }
  }
  if (!latencies.empty()) {
    std::ranges::sort(latencies);
    result.least = latencies.front();
    result.median = percentile(latencies, 0.5);
    result.p99 = percentile(latencies, 0.99);
  }
  return result;
}

double chance_of_luck(std::uint64_t targets, std::uint64_t connections) {
  return std::pow(1.0 - 1.0 / static_cast<double>(targets), static_cast<double>(connections));
}

std::uint64_t connections_needed(std::uint64_t targets) {
  if (targets <= 1) {
    return 1;
  }
  const double spared = std::log1p(-1.0 / static_cast<double>(targets));
  // "Less than": where it comes out even, one more.
  return static_cast<std::uint64_t>(std::floor(std::log(kDoubt) / spared)) + 1;
}

}  // namespace hairpind
