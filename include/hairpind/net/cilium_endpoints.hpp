// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/net/pinned_map.hpp"

namespace hairpind {

/// Pods' addresses, each with the ifindex of the pod's device on the node.
using EndpointDevices = std::map<IpAddress, std::uint32_t>;

/// Sizes of cilium_lxc's keys and values (cilium, bpf/lib/eps.h: struct endpoint_key, endpoint_info; 1.13 to 1.18).
inline constexpr std::size_t kCiliumEndpointKey = 20;
inline constexpr std::size_t kCiliumEndpointInfo = 48;

/// One of its entries. Nothing if it is the node's own, an endpoint in the node's namespace, of another cluster, or not
/// understood.
std::optional<EndpointDevices::value_type> cilium_endpoint(std::span<const std::byte, kCiliumEndpointKey> key,
                                                           std::span<const std::byte, kCiliumEndpointInfo> value);

/// Which pods Cilium has on this node, and by which devices: its map cilium_lxc, read by its pin.
///
/// Not thread safe; owned by the event loop.
class CiliumEndpoints {
 public:
  /// `roots`: bpffs mounts.
  explicit CiliumEndpoints(std::vector<std::string> roots);

  PinChanges refresh();
  [[nodiscard]] bool readable() const { return map_.readable(); }
  /// All that are there now; empty where there is no map to read. Walks 65,536 buckets: some 0.2 ms.
  [[nodiscard]] Result<EndpointDevices> read() const;

 private:
  std::vector<std::string> roots_;
  PinnedMap map_;
};

}  // namespace hairpind
