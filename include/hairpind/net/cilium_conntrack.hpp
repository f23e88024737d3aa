// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hairpind/core/conntrack.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/net/pinned_map.hpp"

namespace hairpind {

/// `flags` of a key of Cilium's conntrack maps (cilium, bpf/lib/common.h). TUPLE_F_IN (1) is left out on purpose: the
/// misdirected SYN-ACK makes such an entry itself.
enum class CiliumDirection : std::uint8_t { kOut = 0, kService = 4 };

/// Key of the entry of client -> server, as it is in the map (cilium, bpf/lib/common.h: struct ipv4_ct_tuple, 14 bytes,
/// ipv6_ct_tuple, 38 bytes; packed, all in network order). kOut has its addresses reversed and its ports not; kService
/// the other way round.
std::vector<std::byte> cilium_key(const Endpoint& client, const Endpoint& server, CiliumDirection direction);

/// A value of those maps (struct ct_entry, the same size and offsets since 1.10).
using CiliumEntry = std::array<std::byte, 56>;

/// Does this OUT entry of client -> responder say that Cilium, on the client's side, chose the responder for a
/// service? Not if it is the hairpin's own (node_port), nor that of a connection made to the responder itself.
bool is_client_side_translation(const CiliumEntry& out);

/// Cilium's conntrack tables of TCP, read by their pins. Never written to, never trusted in another shape.
///
/// Not thread safe; owned by the event loop.
class CiliumConntrack {
 public:
  /// `roots`: bpffs mounts, of which the first that has the map is used.
  explicit CiliumConntrack(std::vector<std::string> roots);

  /// Looks at the pins.
  PinChanges refresh();

  /// Is there a map for this family, readable or not? Then Cilium may have translated the connection.
  [[nodiscard]] bool covers(const IpAddress& client) const;
  /// Is there one of either family? And can one be read?
  [[nodiscard]] bool present() const;
  [[nodiscard]] bool readable() const;
  /// kUnchecked if the map is refused or absent, an error if it could not be read.
  [[nodiscard]] Result<Conntrack> lookup(const ConntrackQuery& query) const;

 private:
  [[nodiscard]] const PinnedMap& table_of(const IpAddress& client) const { return tables_[client.is_v4() ? 0 : 1]; }

  std::vector<std::string> roots_;
  std::array<PinnedMap, 2> tables_;
};

}  // namespace hairpind
