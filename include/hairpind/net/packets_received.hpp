// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace hairpind {

/// Packets that a device has received since it was made, by rtnetlink; nullopt where it cannot be asked. Where its peer
/// is in another network namespace, what that has sent: what a program at the peer of a netkit device redirects, the
/// device itself does not count as received (netkit_xmit in drivers/net/netkit.c).
std::optional<std::uint64_t> packets_received(std::uint32_t ifindex);

}  // namespace hairpind
