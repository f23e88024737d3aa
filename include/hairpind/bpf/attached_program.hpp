// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {

class ClsactFilter;

enum class TcDirection : std::uint8_t { kIngress, kEgress };

/// How programs are put on a device. Another way is a new enumerator here and a case in AttachedProgram::attach.
enum class AttachMode : std::uint8_t {
  kTcx,     ///< a TCX link (kernel 6.6); the kernel takes it off when the process dies, however it dies
  kClsact,  ///< a filter with direct action on the clsact qdisc; outlives a process that is killed
};

std::string_view to_string(AttachMode mode);

/// The mode for "auto" (TCX where the kernel has it), "tcx" or "clsact". Fails where the kernel lacks it.
Result<AttachMode> choose_attach_mode(std::string_view wanted, const KernelFeatures& features);

/// One program on one hook of one device, first in line. Detached when destroyed.
class AttachedProgram {
 public:
  /// Fails with the kernel's reason; `device_gone` where the device has vanished, not an error to report.
  struct AttachError {
    bool device_gone = false;
    Error error;
  };
  /// Leftovers on the hook are removed first, in both modes.
  /// By TCX, and the ingress of a netkit device: where its pod sends (BPF_NETKIT_PEER, 6.7), since programs there may
  /// hand a packet on before the device has received it.
  static std::expected<AttachedProgram, AttachError> attach(AttachMode mode, std::uint32_t ifindex,
                                                            TcDirection direction, int program_fd);
  /// Takes off a device what an agent that was killed in clsact mode has left on it.
  static Result<void> remove_leftovers(std::uint32_t ifindex);

  AttachedProgram(AttachedProgram&&) noexcept;
  AttachedProgram& operator=(AttachedProgram&&) noexcept;
  ~AttachedProgram();

  /// False once somebody has taken the program off or put another before it. Of clsact filters only: a TCX link
  /// cannot be taken off, and of its place nobody tells.
  [[nodiscard]] Result<bool> first_in_line() const;

  /// Whether somebody else's program or filter may run after this one: true where the kernel does not tell.
  /// `look_at_filters`: lists the hook's clsact filters, which costs a netlink dump; else what was found last counts.
  [[nodiscard]] bool may_be_followed(bool look_at_filters);
  /// Whether programs of others run before this one, and may hide packets from it: TCX programs before a clsact filter,
  /// those at the peer of a netkit device before what is on the device itself.
  [[nodiscard]] bool is_preceded() const;

 private:
  AttachedProgram(std::uint32_t ifindex, TcDirection direction, FileDescriptor link);
  AttachedProgram(std::uint32_t ifindex, TcDirection direction, std::unique_ptr<ClsactFilter> filter);

  std::uint32_t ifindex_;
  TcDirection direction_;
  bool at_peer_ = false;  ///< BPF_NETKIT_PEER
  FileDescriptor link_;
  std::unique_ptr<ClsactFilter> filter_;
  bool foreign_filters_ = true;  ///< may_be_followed: not looked at yet
};

}  // namespace hairpind
