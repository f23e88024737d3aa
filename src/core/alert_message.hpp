// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "hairpind/core/alert.hpp"
#include "hairpind/core/event.hpp"

namespace hairpind {

/// A message is read in a notification, on a telephone.
constexpr std::size_t kMostOfAMessage = 200;

/// What happened, in one sentence: who called, which load balancer, who answered, and the end of it. `alert` is
/// complete but for its message; its fields have what the sentence has no room for.
std::string message_of(const Alert& alert, const Attempt& example);

}  // namespace hairpind
