// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// The body that this machine's own agent answers a GET with, with or without TLS, in five seconds and 8 MiB at most.
/// `host` is an address, without brackets; the unspecified one (what the agent listens on) means loopback. Blocks.
Result<std::string> get_local(const std::string& host, std::uint16_t port, const std::string& path);

}  // namespace hairpind
