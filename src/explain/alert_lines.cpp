// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/alert_lines.hpp"

#include <cstddef>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

namespace hairpind {
namespace {

constexpr std::string_view kMark = "hairpind.alert/v";
constexpr std::size_t kNone = std::string_view::npos;
// A prefix may have braces of its own (logcli's labels).
constexpr int kBracesTried = 16;
constexpr int kDeepest = 8;

using Found = std::function<void(const AlertText&)>;

// string_view::find looks at each 'h' by itself.
bool has_mark(std::string_view text) {
  return memmem(text.data(), text.size(), kMark.data(), kMark.size()) != nullptr;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size() && is_blank(text[at])) {
    at++;
  }
  return at;
}

/// Where the string that begins at `at` has ended; kNone if it does not.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  for (std::size_t i = at + 1; i < text.size(); i++) {
    if (text[i] == '"') {
      return i + 1;
    }
    i += text[i] == '\\' ? 1 : 0;
  }
  return kNone;
}

std::size_t end_of_nested(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = end_of_string(text, at);
      continue;
    }
    if (c == '{' || c == '[') {
      depth++;
    } else if (c == '}' || c == ']') {
      depth--;
    }
    at++;
    if (depth == 0) {
      return at;
    }
  }
  return kNone;
}

/// Where the JSON value that begins at `at` has ended. What it is made of is not looked at.
std::size_t end_of_value(std::string_view text, std::size_t at) {
  if (at >= text.size()) {
    return kNone;
  }
  if (text[at] == '"') {
    return end_of_string(text, at);
  }
  if (text[at] == '{' || text[at] == '[') {
    return end_of_nested(text, at);
  }
  const std::size_t end = text.find_first_of(",]} \t\r\n", at);
  return end == at ? kNone : end;
}

/// Calls member(key without quotes, value) for each of the object or array (no keys) that `text` begins with. Where it
/// has ended, or kNone.
template <typename Member>
std::size_t each_member(std::string_view text, Member member) {
  const bool object = text.front() == '{';
  const char close = object ? '}' : ']';
  std::size_t at = skip_blanks(text, 1);
  if (at < text.size() && text[at] == close) {
    return at + 1;
  }
  while (at < text.size()) {
    std::string_view key;
    if (object) {
      const std::size_t end = text[at] == '"' ? end_of_string(text, at) : kNone;
      if (end == kNone) {
        return kNone;
      }
      key = text.substr(at + 1, end - at - 2);
      at = skip_blanks(text, end);
      if (at >= text.size() || text[at] != ':') {
        return kNone;
      }
      at = skip_blanks(text, at + 1);
    }
    const std::size_t end = end_of_value(text, at);
    if (end == kNone) {
      return kNone;
    }
    member(key, text.substr(at, end - at));
    at = skip_blanks(text, end);
    if (at < text.size() && text[at] == close) {
      return at + 1;
    }
    if (at >= text.size() || text[at] != ',') {
      return kNone;
    }
    at = skip_blanks(text, at + 1);
  }
  return kNone;
}

/// The members of an object. Where it has ended, or kNone.
std::size_t read_members(std::string_view text, AlertText& alert) {
  const std::size_t end = each_member(text, [&](std::string_view key, std::string_view value) {
    if (key == "schema") {
      alert.schema = value;
    } else if (key == "event") {
      alert.event = value;
    } else if (key == "time") {
      alert.time = value;
    } else if (key == "node") {
      alert.node = value;
    } else if (key == "incident") {
      alert.incident = value;
    } else if (key == "count") {
      alert.count = value;
    } else if (key == "reopened") {
      alert.reopened = value;
    }
  });
  alert.whole = text.substr(0, end);
  return end;
}

bool is_ours(const AlertText& alert) {
  return alert.schema.size() > kMark.size() && alert.schema.substr(1, kMark.size()) == kMark;
}

std::string_view unquoted(std::string_view value) {
  return value.size() >= 2 && value.front() == '"' ? value.substr(1, value.size() - 2) : std::string_view{};
}

/// The pod that a wrapper names: {"pod":...}, {"labels":{"pod":...}} (Loki), {"kubernetes":{"pod_name":...}} (Fluent
/// Bit).
std::string_view pod_of(std::string_view object, bool outermost) {
  std::string_view pod;
  each_member(object, [&](std::string_view key, std::string_view value) {
    if (key == "pod" || key == "pod_name") {
      pod = unquoted(value);
    } else if (outermost && value.front() == '{' && (key == "labels" || key == "stream" || key == "kubernetes")) {
      const std::string_view inner = pod_of(value, false);
      pod = inner.empty() ? pod : inner;
    }
  });
  return pod;
}

/// kubectl logs --prefix: "[pod/hairpind-x7k2p/hairpind] ".
std::string_view prefix_of(std::string_view before) {
  if (!before.starts_with("[pod/")) {
    return {};
  }
  const std::size_t end = before.find(']');
  return end == kNone ? std::string_view{} : before.substr(1, end - 1);
}

bool find_in_text(std::string_view text, std::string_view source, int depth, const Found& found);

/// Of a value that is whole. True if an alert was in it.
bool find_in_value(std::string_view value, std::string_view source, int depth, const Found& found) {
  if (depth > kDeepest || !has_mark(value)) {
    return false;
  }
  if (value.front() == '"') {
    const auto text = nlohmann::json::parse(value, nullptr, false);
    return text.is_string() && find_in_text(text.get_ref<const std::string&>(), source, depth + 1, found);
  }
  if (value.front() == '{') {
    AlertText alert;
    read_members(value, alert);
    if (is_ours(alert)) {
      alert.source = source;
      found(alert);
      return true;
    }
    const std::string_view pod = pod_of(value, true);
    source = pod.empty() ? source : pod;
  }
  bool any = false;
  each_member(value, [&](std::string_view, std::string_view member) {
    any = find_in_value(member, source, depth + 1, found) || any;
  });
  return any;
}

bool find_in_text(std::string_view text, std::string_view source, int depth, const Found& found) {
  bool any = false;
  std::size_t at = text.find('{');
  const std::string_view prefix = prefix_of(text.substr(0, at));
  source = prefix.empty() ? source : prefix;
  for (int tried = 0; at != kNone && tried < kBracesTried; tried++) {
    AlertText alert;
    const std::size_t length = read_members(text.substr(at), alert);
    if (length == kNone) {
      at = text.find('{', at + 1);
      continue;
    }
    if (find_in_value(alert.whole, source, depth, found)) {
      any = true;
      tried = 0;
    }
    at = text.find('{', at + length);
  }
  return any;
}

}  // namespace

LineKind find_alerts(std::string_view line, const std::function<void(const AlertText&)>& found) {
  if (!has_mark(line)) {
    return LineKind::kNotOurs;
  }
  return find_in_text(line, {}, 0, found) ? LineKind::kOurs : LineKind::kBroken;
}

}  // namespace hairpind
