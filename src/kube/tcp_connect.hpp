// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "hairpind/core/error.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/kube/cluster_access.hpp"

namespace hairpind {

/// Waits until `fd` is ready for `events` (poll(2)); an error when the deadline has passed, or `stop` is readable.
Result<void> wait_for(int fd, short events, std::chrono::steady_clock::time_point deadline, int stop);

/// A non-blocking TCP connection to host and port, through the proxy if there is one. Tries each of the host's
/// addresses; the error names the last one's reason.
Result<FileDescriptor> tcp_connect(const std::string& host, std::uint16_t port, const std::optional<HttpProxy>& proxy,
                                   std::chrono::steady_clock::time_point deadline, int stop);

}  // namespace hairpind
