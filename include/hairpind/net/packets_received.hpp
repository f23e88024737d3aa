// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace hairpind {

/// Packets that a device has received since it was made, by rtnetlink; nullopt where it cannot be asked.
std::optional<std::uint64_t> packets_received(std::uint32_t ifindex);

}  // namespace hairpind
