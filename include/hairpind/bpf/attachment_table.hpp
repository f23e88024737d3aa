// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "hairpind/bpf/attached_program.hpp"
#include "hairpind/bpf/bpf_map.hpp"
#include "hairpind/bpf/hook.hpp"
#include "hairpind/core/address.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/event.hpp"

namespace hairpind {

/// A program on one hook of one device, for as long as this lives: AttachedProgram, or a test's.
class TcAttachment {
 public:
  TcAttachment() = default;
  virtual ~TcAttachment() = default;
  TcAttachment(const TcAttachment&) = delete;
  TcAttachment& operator=(const TcAttachment&) = delete;

  [[nodiscard]] virtual Result<bool> first_in_line() const = 0;
  /// AttachedProgram's.
  [[nodiscard]] virtual bool may_be_followed(bool /*look_at_filters*/) { return false; }
  [[nodiscard]] virtual bool is_preceded() const { return false; }
};
using TcAttachResult = std::expected<std::unique_ptr<TcAttachment>, AttachedProgram::AttachError>;

/// The devices that the programs are on, and what the kernel side must know of this node to believe a packet.
///
/// Owns: the attachments, and the kernel's maps `devices` and `node_addresses`; it alone writes to these. Called by:
/// the event loop. Never decides which devices, and never tries again by itself.
class AttachmentTable {
 public:
  /// What it needs of the kernel, which outlives the table.
  struct Kernel {
    std::function<TcAttachResult(std::uint32_t ifindex, TcDirection direction, Hook hook)> attach;
    std::function<Result<void>(std::uint32_t ifindex)> remove_leftovers;
    BpfMap& devices;
    BpfMap& node_addresses;
  };
  explicit AttachmentTable(Kernel kernel) : kernel_(std::move(kernel)) {}

  /// Puts the two programs of the device's role on it. A device that has vanished is no error: the result is
  /// false. Attaching one that is attached already only updates its master.
  Result<bool> attach(const Device& device);
  /// For a device that left or changed its role; unknown ones are ignored.
  void detach(std::uint32_t ifindex);
  [[nodiscard]] const std::map<std::uint32_t, Device>& attached() const { return devices_; }
  /// Whether both programs of an attached device are where attaching put them (AttachedProgram::first_in_line).
  [[nodiscard]] Result<bool> first_in_line(std::uint32_t ifindex) const;

  /// Whether others may still change what `to_pod` has seen: their programs come after it on a pod's device, or one is
  /// too new to tell. Asks about some of the devices in each call, in turn, and about those of `filters_changed`.
  [[nodiscard]] bool answers_may_change(const std::set<std::uint32_t>& filters_changed, SinceBoot now);
  /// The pods' devices on which programs of others run before `from_pod` (AttachedProgram::is_preceded).
  [[nodiscard]] std::set<std::uint32_t> preceded() const;

  /// Takes off any device what an agent that was killed has left on it.
  [[nodiscard]] Result<void> remove_leftovers(std::uint32_t ifindex) const { return kernel_.remove_leftovers(ifindex); }

  Result<void> set_node_addresses(const std::set<IpAddress>& addresses);

 private:
  Kernel kernel_;
  std::map<std::uint32_t, Device> devices_;
  std::map<std::uint32_t, std::array<std::unique_ptr<TcAttachment>, 2>> attachments_;
  /// A pod's device: do others follow `to_pod`?
  struct Followed {
    bool followed = true;
    SinceBoot since{};  ///< first asked about; 0 = not yet
  };
  std::map<std::uint32_t, Followed> followed_;
  std::uint32_t last_asked_ = 0;  ///< device
  std::set<IpAddress> node_addresses_;
};

}  // namespace hairpind
