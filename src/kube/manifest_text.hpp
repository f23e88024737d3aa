// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// One document of a manifest file, in UTF-8.
struct ManifestDocument {
  std::string text;
  int line = 1;  ///< of the file, where the text begins
};

/// The bytes of a file as UTF-8 without byte order mark: from UTF-8, UTF-16 or UTF-32, by its byte order mark or, as
/// YAML has it (1.2, 5.2), by the zero bytes of its first character. An error for what is no text.
Result<std::string> text_of(std::string_view bytes);

/// Taken apart at each line that begins with "---", as kubectl does, and after "..."; JSON objects that follow each
/// other, too. Never fewer than one.
std::vector<ManifestDocument> documents_in(std::string_view text);

}  // namespace hairpind
