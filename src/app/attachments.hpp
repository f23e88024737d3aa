// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "hairpind/bpf/attachment_table.hpp"
#include "hairpind/net/interface_selection.hpp"
#include "status_board.hpp"

namespace hairpind {

/// Keeps the programs on the devices that are to be watched, first in line.
///
/// Owns: which devices these are, and what is still to be done about them. Called by: the event loop. Never waits, but
/// for the one device that step() attaches; never looks for devices itself.
class Attachments {
 public:
  Attachments(AttachmentTable& table, InterfaceSelection selection) : table_(table), selection_(std::move(selection)) {}

  /// At the start: takes off what a killed agent has left, wherever it is.
  void remove_leftovers(const NetworkView& view) const;
  /// The node as it is now. What has left is detached, what is new waits for step(). A device whose role has changed,
  /// and an uplink that comes later, are a line in the log.
  void on_network(const NetworkView& view, const InterfaceHints& hints = {});
  /// On these somebody else's filter has come or ours gone, or may have; looked at in the next retry(). Not at once:
  /// who deletes a qdisc may be about to add one anew, and must not find ours in its place.
  void on_filters_changed(std::set<std::uint32_t> ifindexes) { filters_changed_.merge(ifindexes); }
  /// Once a second: what has failed, and what is no longer first, waits for step() again.
  void retry();
  /// Attaches one device, which may take the kernel 10 to 60 ms (TCX: an RCU grace period a link). True while others
  /// wait.
  bool step();
  [[nodiscard]] bool waiting() const { return !waiting_.empty(); }
  /// Whether others may still change what `to_pod` has seen (AttachmentTable).
  [[nodiscard]] bool answers_may_change(SinceBoot now) { return table_.answers_may_change(filters_changed_, now); }
  /// Now and then: warns of programs of others that run before hairpind's, and of pods of which packets come and no
  /// handshake has been `seen`.
  void look_for_blind(const std::function<bool(std::uint32_t ifindex)>& seen);
  /// Now and then: `spoofed` packets so far, `ifindex` sent the last. Many are a line in the log, once a device.
  void on_spoofed(std::uint64_t spoofed, std::uint32_t ifindex);
  /// Now and then: `evicted` attempts given up undecided so far, the last of them of `ifindex`, 0 for the network. More
  /// of them are a line in the log, once a minute at most.
  void on_crowded(std::uint64_t evicted, std::uint32_t ifindex, SinceBoot now);
  /// Takes one device off, at the end. True while there are others.
  bool detach_one();

  [[nodiscard]] AttachStatus status() const;
  /// A line for each role and reason, with the devices' names.
  [[nodiscard]] std::vector<std::string> roles(const NetworkView& view) const;

 private:
  struct Wanted {
    Device device;
    std::string name;
    SelectedInterface as;
  };

  /// A device on which others' programs run before hairpind's; warned of.
  struct Preceded {
    std::uint64_t received = 0;  ///< packets, when it was noticed
    bool blind = false;
  };

  void attach(const Wanted& wanted);
  void tell_of_changes(const std::map<std::uint32_t, Wanted>& before) const;
  [[nodiscard]] std::string name_of(std::uint32_t ifindex) const;
  void warn_of_unmatched_globs(const NetworkView& view);

  AttachmentTable& table_;
  InterfaceSelection selection_;
  std::map<std::uint32_t, Wanted> wanted_;
  std::set<std::uint32_t> waiting_;           ///< of the wanted
  std::set<std::uint32_t> failed_;            ///< of the wanted: logged once
  std::set<std::uint32_t> filters_changed_;   ///< devices
  std::vector<std::string> unmatched_globs_;  ///< warned of
  std::map<std::uint32_t, Preceded> preceded_;
  std::uint64_t spoofed_ = 0;              ///< packets, at the last look
  std::set<std::uint32_t> spoofing_told_;  ///< devices
  std::uint64_t evicted_ = 0;              ///< attempts, when it was told last
  SinceBoot crowding_told_{};
  std::uint64_t failures_ = 0;
  bool complete_ = false;  ///< nothing waited, once: pods that come later do not unmake it
};

}  // namespace hairpind
