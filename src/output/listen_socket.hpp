// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {

/// Bound and listening, without blocking, with small buffers for each client; both families where the address is "::".
/// The error is errno's, 0 where the address is none.
std::expected<FileDescriptor, int> listen_on(const std::string& address, std::uint16_t port);

/// Host order.
std::uint16_t port_of(int socket);

}  // namespace hairpind
