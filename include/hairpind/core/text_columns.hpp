// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hairpind {

/// In characters, of which UTF-8 has one where a byte does not go on with another.
std::size_t width_of_text(std::string_view text);
/// `text` with blanks behind it up to `width`.
std::string padded_text(std::string_view text, std::size_t width);
/// At most `width` characters, the last of which are "..." where something is left out.
std::string clipped_text(std::string_view text, std::size_t width);
/// Lines of at most `width` characters, broken at blanks where there are any. At least one.
std::vector<std::string> folded_text(std::string_view text, std::size_t width);

}  // namespace hairpind
