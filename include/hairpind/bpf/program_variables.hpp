// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/types.h>

#include <cstdint>
#include <span>

#include "hairpind/abi.h"

struct handshake_bpf;

namespace hairpind {

class Programs;

/// The programs' variables that the agent turns while they run, and those that it looks at.
///
/// Owns: nothing: the variables are the object's, mapped, and with its life. Called by: the event loop.
class ProgramVariables {
 public:
  explicit ProgramVariables(const Programs& programs);

  /// Whether the sweep asks about attempts that the kernel side has not found translated or not
  /// (EventKind::kConntrack). Off at first.
  void set_ask_conntrack(bool ask);
  /// Whether the record that Cilium's programs leave in a packet that they drop is believed. Off at first.
  void set_beside_cilium(bool beside);
  /// Whether others may still change what `to_pod` has seen (AttachmentTable::answers_may_change): a wrong answer there
  /// is then suspicion, else proof. Off at first.
  void set_answers_may_change(bool may);
  /// How many entries `captures` has, which CaptureTable writes.
  void set_captures_armed(std::uint32_t entries);
  /// The filter before the table of frontends, which FrontendTable writes.
  [[nodiscard]] std::span<__u64> frontend_filter() const;

  /// Whether `from_pod` has seen a handshake on a device, or on another of the same place (HP_SEEN_DEVICES).
  [[nodiscard]] bool seen(std::uint32_t ifindex) const;
  /// The device that has sent from another's address last, 0 if none has.
  [[nodiscard]] std::uint32_t spoofing_device() const;
  /// The device whose attempt was given up undecided last, 0 if it was one that the network sent.
  [[nodiscard]] std::uint32_t crowding_device() const;
  /// What each device's clients have of the tables that all share, by account, and all of them together: shared with
  /// the kernel, which adds to it. Whoever gives something back takes it off, atomically.
  struct Accounts {
    std::span<hp_account> each;
    std::uint32_t* incidents;
    std::uint32_t* unlisted_rows;
    const std::uint32_t* highest_row;
  };
  [[nodiscard]] Accounts accounts() const;

 private:
  const handshake_bpf* object_;
};

}  // namespace hairpind
