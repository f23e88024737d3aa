// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace hairpind {

/// Cuts the last `bytes` off a regular file that this descriptor has just appended to, so that a line cut short by a
/// full disk leaves nothing. False, and nothing done, where somebody else has appended since.
bool take_back(int fd, std::size_t bytes);

}  // namespace hairpind
