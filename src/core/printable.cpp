// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/printable.hpp"

#include <array>
#include <cstdint>
#include <cstdio>

namespace hairpind {
namespace {

struct Character {
  char32_t code = 0;
  std::size_t length = 1;  ///< bytes
  bool valid = false;
};

// UTF-8 as RFC 3629 has it: no surrogates, nothing longer than it need be.
Character character_at(std::string_view text) {
  const auto first = static_cast<std::uint8_t>(text.front());
  if (first < 0x80) {
    return {.code = first, .length = 1, .valid = true};
  }
  std::size_t length = 2;
  if (first >= 0xe0) {
    length = first >= 0xf0 ? 4 : 3;
  }
  if (first < 0xc2 || first > 0xf4 || text.size() < length) {
    return {};
  }
  char32_t code = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; i++) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if ((byte & 0xc0U) != 0x80) {
      return {};
    }
    code = code << 6U | (byte & 0x3fU);
  }
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return {.code = code, .length = length, .valid = code >= kLeast[length] && code <= 0x10ffff && !surrogate};
}

bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/// Unicode's bidirectional controls (UAX #9), line and paragraph separator, byte order mark.
bool is_invisible(char32_t code) {
  return code == 0x61c || (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

std::string escaped(const char* format, unsigned value) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string shown(const Character& character, std::string_view bytes) {
  if (!character.valid) {
    return escaped("\\x%02x", static_cast<std::uint8_t>(bytes.front()));
  }
  if (character.code == '\n') {
    return "\\n";
  }
  if (character.code == '\t') {
    return "\\t";
  }
  if (is_control(character.code)) {
    return escaped("\\x%02x", character.code);
  }
  return is_invisible(character.code) ? escaped("\\u%04x", character.code) : std::string(bytes);
}

}  // namespace

std::string printable(std::string_view text) {
  return printable(text, std::string::npos);
}

std::string printable(std::string_view text, std::size_t most) {
  constexpr std::string_view kMore = "...";
  std::string result;
  std::size_t fits = 0;  // so much of the result leaves room for kMore
  while (!text.empty()) {
    const Character character = character_at(text);
    const std::size_t length = character.valid ? character.length : 1;
    result += shown(character, text.substr(0, length));
    text.remove_prefix(length);
    if (result.size() > most) {
      return result.substr(0, fits).append(kMore.substr(0, most - fits));
    }
    if (result.size() + kMore.size() <= most) {
      fits = result.size();
    }
  }
  return result;
}

std::string markup(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace hairpind
