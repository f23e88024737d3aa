// SPDX-License-Identifier: Apache-2.0
#include "manifest_text.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace hairpind {
namespace {

struct Encoding {
  std::size_t unit = 1;  ///< bytes: 1 is UTF-8
  bool big_endian = false;
  std::size_t mark = 0;  ///< bytes of the byte order mark
};

Encoding encoding_of(std::string_view bytes) {
  using namespace std::string_view_literals;
  struct Mark {
    std::string_view bytes;
    Encoding encoding;
  };
  // The longer ones first: UTF-32's mark begins like UTF-16's.
  static constexpr std::array kMarks = {
      Mark{"\xff\xfe\0\0"sv, {.unit = 4, .big_endian = false, .mark = 4}},
      Mark{"\0\0\xfe\xff"sv, {.unit = 4, .big_endian = true, .mark = 4}},
      Mark{"\xff\xfe"sv, {.unit = 2, .big_endian = false, .mark = 2}},
      Mark{"\xfe\xff"sv, {.unit = 2, .big_endian = true, .mark = 2}},
      Mark{"\xef\xbb\xbf"sv, {.unit = 1, .big_endian = false, .mark = 3}},
  };
  for (const Mark& mark : kMarks) {
    if (bytes.starts_with(mark.bytes)) {
      return mark.encoding;
    }
  }
  if (bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 0) {
    return {.unit = 4, .big_endian = true, .mark = 0};
  }
  if (bytes.size() >= 4 && bytes[1] == 0 && bytes[2] == 0 && bytes[3] == 0) {
    return {.unit = 4, .big_endian = false, .mark = 0};
  }
  if (bytes.size() >= 2 && (bytes[0] == 0) != (bytes[1] == 0)) {
    return {.unit = 2, .big_endian = bytes[0] == 0, .mark = 0};
  }
  return {};
}

std::uint32_t unit_at(std::string_view bytes, const Encoding& encoding) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < encoding.unit; i++) {
    const std::size_t at = encoding.big_endian ? i : encoding.unit - 1 - i;
    value = value << 8U | static_cast<std::uint8_t>(bytes[at]);
  }
  return value;
}

void append_utf8(std::string& text, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) { text += static_cast<char>(value); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0U | code >> 6U);
    byte(0x80U | (code & 0x3fU));
  } else if (code < 0x10000) {
    byte(0xe0U | code >> 12U);
    byte(0x80U | (code >> 6U & 0x3fU));
    byte(0x80U | (code & 0x3fU));
  } else {
    byte(0xf0U | code >> 18U);
    byte(0x80U | (code >> 12U & 0x3fU));
    byte(0x80U | (code >> 6U & 0x3fU));
    byte(0x80U | (code & 0x3fU));
  }
}

/// Takes one character off the front; nullopt for a broken one.
std::optional<std::uint32_t> take_character(std::string_view& bytes, const Encoding& encoding) {
  const auto take = [&] {
    const std::uint32_t unit = unit_at(bytes, encoding);
    bytes.remove_prefix(encoding.unit);
    return unit;
  };
  const std::uint32_t first = take();
  const bool high = first >= 0xd800 && first < 0xdc00;
  if (encoding.unit == 2 && high && bytes.size() >= encoding.unit) {
    const std::uint32_t second = take();
    if (second >= 0xdc00 && second < 0xe000) {
      return 0x10000 + ((first - 0xd800) << 10U) + (second - 0xdc00);
    }
    return std::nullopt;
  }
  return first > 0x10ffff || (first >= 0xd800 && first < 0xe000) ? std::nullopt : std::optional(first);
}

/// The end of the JSON value that begins at the front: where its brackets are closed. npos if they never are.
std::size_t end_of_json(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        i++;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if ((c == '}' || c == ']') && --depth <= 0) {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

int lines_in(std::string_view text) {
  int lines = 0;
  for (const char c : text) {
    lines += c == '\n' ? 1 : 0;
  }
  return lines;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// kubectl get -o json | jq -c '.items[]' writes one object after the other; YAML would end at the first.
void add_json(const ManifestDocument& document, std::vector<ManifestDocument>& documents) {
  std::string_view rest = document.text;
  int line = document.line;
  for (;;) {
    const std::size_t begin = rest.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) {
      return;
    }
    line += lines_in(rest.substr(0, begin));
    rest.remove_prefix(begin);
    const std::size_t end = rest.front() == '{' ? end_of_json(rest) : std::string_view::npos;
    documents.push_back({.text = std::string(rest.substr(0, end)), .line = line});
    if (end == std::string_view::npos) {
      return;
    }
    line += lines_in(rest.substr(0, end));
    rest.remove_prefix(end);
  }
}

void add_document(const ManifestDocument& document, std::vector<ManifestDocument>& documents) {
  const std::size_t begin = document.text.find_first_not_of(" \t\r\n");
  // Two are no object but a template.
  if (begin != std::string::npos && document.text[begin] == '{' &&
      !std::string_view(document.text).substr(begin).starts_with("{{")) {
    add_json(document, documents);
  } else {
    documents.push_back(document);
  }
}

}  // namespace

Result<std::string> text_of(std::string_view bytes) {
  const Encoding encoding = encoding_of(bytes);
  bytes.remove_prefix(encoding.mark);
  std::string text;
  if (encoding.unit == 1) {
    text = bytes;
  } else {
    if (bytes.size() % encoding.unit != 0) {
      return fail("UTF-" + std::to_string(encoding.unit * 8) + " that ends in the middle of a character");
    }
    while (!bytes.empty()) {
      const auto character = take_character(bytes, encoding);
      if (!character) {
        return fail("UTF-" + std::to_string(encoding.unit * 8) + " with a broken character");
      }
      append_utf8(text, *character);
    }
  }
  if (text.find('\0') != std::string::npos) {
    return fail("no text: it has zero bytes");
  }
  return text;
}

std::vector<ManifestDocument> documents_in(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // files put together by "cat" have it in the middle, too
  std::vector<ManifestDocument> found(1);
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    number++;
    if (line.starts_with(kByteOrderMark)) {
      line.remove_prefix(kByteOrderMark.size());
    }
    if (line.starts_with("---")) {
      found.push_back({.text = "", .line = number});
      line.remove_prefix(3);
    } else if (line.starts_with("...") && is_blank(line.substr(3))) {
      found.push_back({.text = "", .line = number});
      line = "";
    }
    found.back().text.append(line).append("\n");
  }
  std::vector<ManifestDocument> documents;
  for (const ManifestDocument& document : found) {
    // What stands before the first separator is a document only if there is something.
    if (found.size() == 1 || &document != &found.front() || !is_blank(document.text)) {
      add_document(document, documents);
    }
  }
  return documents;
}

}  // namespace hairpind
