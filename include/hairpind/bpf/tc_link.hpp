// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "hairpind/core/error.hpp"
#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {

enum class TcDirection : std::uint8_t { kIngress, kEgress };

/// How programs are put on a device. Another way than TCX (clsact on kernels before 6.6) is a new enumerator
/// here and a case in TcLink::attach.
enum class AttachMode : std::uint8_t { kTcx };

std::string_view to_string(AttachMode mode);

/// One program on one hook of one device, first in line. Detached when destroyed; the kernel detaches it too
/// when the process dies, however it dies.
class TcLink {
 public:
  /// Fails with the kernel's reason; ENODEV where the device has gone is `device_gone`, not an error to report.
  struct AttachError {
    bool device_gone = false;
    Error error;
  };
  static std::expected<TcLink, AttachError> attach(AttachMode mode, std::uint32_t ifindex, TcDirection direction,
                                                   int program_fd);

 private:
  explicit TcLink(FileDescriptor link) : link_(std::move(link)) {}

  FileDescriptor link_;
};

}  // namespace hairpind
