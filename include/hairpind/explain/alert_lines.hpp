// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace hairpind {

/// An alert as it stands in a log: the text of the JSON object, and the raw JSON of some of its members, empty where it
/// lacks them. Not checked further: cheap enough for each of millions of lines.
struct AlertText {
  std::string_view whole;
  std::string_view schema;
  std::string_view event;
  std::string_view time;
  std::string_view node;
  std::string_view incident;
  std::string_view count;
  std::string_view reopened;
  std::string_view source;  ///< whose log it stood in: kubectl's prefix, or the pod of a wrapper's labels; often empty
};

enum class LineKind : std::uint8_t {
  kNotOurs,
  kOurs,
  kBroken,  ///< names our schema, but has no whole alert
};

/// Calls `found` for each alert of a line, wherever it stands: alone, behind a prefix (kubectl, CRI, syslog, logcli),
/// in an array, in an object or in a string of one (Docker, Loki, Fluent Bit). The texts live as long as the call.
LineKind find_alerts(std::string_view line, const std::function<void(const AlertText&)>& found);

}  // namespace hairpind
