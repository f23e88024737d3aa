// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hairpind {

/// Text that somebody else wrote, fit for a terminal and for one line: control characters, what turns the direction of
/// writing, and bytes that are no UTF-8 stand as "\n", "\x1b", "\u202e".
std::string printable(std::string_view text);

/// The same, and no longer than `most` bytes, with "..." at the end where something is left out.
std::string printable(std::string_view text, std::size_t most);

/// Text as it must stand in HTML and XML, and in an attribute's quotes of either kind.
std::string markup(std::string_view text);

}  // namespace hairpind
