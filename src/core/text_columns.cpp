// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/text_columns.hpp"

#include <algorithm>

namespace hairpind {
namespace {

bool goes_on(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}

/// The bytes of the first `width` characters.
std::size_t bytes_of(std::string_view text, std::size_t width) {
  std::size_t at = 0;
  for (std::size_t column = 0; at < text.size() && column < width; column++) {
    at++;
    while (at < text.size() && goes_on(text[at])) {
      at++;
    }
  }
  return at;
}

}  // namespace

std::size_t width_of_text(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return !goes_on(c); }));
}

std::string padded_text(std::string_view text, std::size_t width) {
  const std::size_t has = width_of_text(text);
  return std::string(text).append(has < width ? width - has : 0, ' ');
}

std::string clipped_text(std::string_view text, std::size_t width) {
  if (width_of_text(text) <= width || width < 4) {
    return std::string(text.substr(0, bytes_of(text, width)));
  }
  return std::string(text.substr(0, bytes_of(text, width - 3))) + "...";
}

std::vector<std::string> folded_text(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  width = std::max<std::size_t>(width, 1);
  while (width_of_text(text) > width) {
    const std::size_t most = bytes_of(text, width);
    const std::size_t blank = text.rfind(' ', most);
    const std::size_t end = blank == std::string_view::npos || blank == 0 ? most : blank;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  }
  lines.emplace_back(text);
  return lines;
}

}  // namespace hairpind
