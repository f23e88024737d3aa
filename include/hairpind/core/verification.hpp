// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "hairpind/core/address.hpp"

namespace hairpind {

/// How a TCP handshake ended, as the client's stack tells.
enum class Handshake : std::uint8_t {
  kAnswered,    ///< established
  kRefused,     ///< by an RST
  kUnanswered,  ///< nothing in time, or the network said that nobody can be reached
};

/// One handshake that was tried.
struct TriedHandshake {
  Endpoint load_balancer;
  Handshake ended = Handshake::kUnanswered;
  std::chrono::microseconds took{};  ///< from connect to the answer
};

/// What several of them say.
struct Verification {
  std::uint64_t answered = 0;
  std::uint64_t refused = 0;
  std::uint64_t unanswered = 0;
  // Of the answered; zero without any.
  std::chrono::microseconds least{};
  std::chrono::microseconds median{};
  std::chrono::microseconds p99{};

  static Verification of(const std::vector<TriedHandshake>& tried);

  [[nodiscard]] std::uint64_t total() const { return answered + refused + unanswered; }
};

/// How many connections must be answered before chance alone would have spared them less than once in a thousand, where
/// the load balancer picks among `targets` alike and one of them is beside the client. With one target the first
/// connection tells; `targets` is at least 1.
std::uint64_t connections_needed(std::uint64_t targets);

/// With what probability `connections` all missed the one target beside the client: 0 to 1.
double chance_of_luck(std::uint64_t targets, std::uint64_t connections);

}  // namespace hairpind
