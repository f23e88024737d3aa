// SPDX-License-Identifier: Apache-2.0
#include "load_options.hpp"

#include <algorithm>
#include <variant>

namespace hairpind {

Programs::Options load_options(const Configuration& configuration, ResetSensor reset_sensor) {
  const auto is_prefix = [](const LoadBalancerSpec& spec) {
    const auto* const frontend = std::get_if<Frontend>(&spec);
    return frontend != nullptr && frontend->is_prefix();
  };
  return {.pending_syns = configuration.pending_syns,
          .handshake_timeout = configuration.handshake_timeout,
          .ring_bytes = configuration.ring_bytes,
          .prefixes = std::ranges::any_of(configuration.load_balancers, is_prefix),
          .reset_sensor = reset_sensor};
}

}  // namespace hairpind
