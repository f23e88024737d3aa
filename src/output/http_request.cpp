// SPDX-License-Identifier: Apache-2.0
#include "http_request.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace hairpind {
namespace {

constexpr int kBadRequest = 400;
constexpr int kMethodNotAllowed = 405;
constexpr int kContentTooLarge = 413;
constexpr int kHeadTooLarge = 431;
constexpr int kVersionNotSupported = 505;

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](unsigned char c) {
    return std::isalnum(c) != 0 || kMarks.contains(static_cast<char>(c));
  });
}

// Line ends apart, what has no place in a head: NUL, or the first byte of a TLS client's.
bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t' && c != '\r') || byte == 0x7f;
}

bool equal(std::string_view text, std::string_view lower_case) {
  return std::ranges::equal(text, lower_case,
                            [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  const std::size_t end = text.find_last_not_of(" \t") + 1;
  return text.substr(begin, begin < end ? end - begin : 0);
}

// "br;q=1.0, gzip;q=0.8" (RFC 9110, 12.5.3); with the weight 0 it is refused.
bool accepts_gzip(std::string_view list) {
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
    const std::size_t semicolon = std::min(item.find(';'), item.size());
    if (equal(trimmed(item.substr(0, semicolon)), "gzip")) {
      const std::string_view weight = trimmed(item.substr(std::min(semicolon + 1, item.size())));
      return !weight.starts_with("q=0") || weight.find_first_of("123456789") != std::string_view::npos;
    }
  }
  return false;
}

}  // namespace

HttpRequest::State HttpRequest::feed(std::string_view bytes) {
  while (!bytes.empty() && state_ == State::kReading) {
    const std::size_t end = bytes.find('\n');
    const bool whole = end != std::string_view::npos;
    const std::string_view part = bytes.substr(0, end);
    bytes.remove_prefix(whole ? end + 1 : bytes.size());
    // What is beyond the bound is not looked at, whatever the pieces it comes in.
    const std::string_view looked_at = part.substr(0, kLongestHead - bytes_);
    bytes_ += looked_at.size();
    if (std::ranges::any_of(looked_at, is_control)) {
      refusal_ = kBadRequest;
    } else if (looked_at.size() < part.size() || (whole && bytes_ == kLongestHead)) {
      refusal_ = kHeadTooLarge;
    } else {
      line_ += part;
      bytes_ += whole ? 1 : 0;
      if (whole) {
        refusal_ = take_line(std::exchange(line_, {}));
      }
    }
    if (refusal_ != 0) {
      state_ = State::kRefused;
    }
  }
  return state_;
}

int HttpRequest::take_line(std::string_view line) {
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  if (line.contains('\r')) {
    return kBadRequest;
  }
  if (!std::exchange(first_line_taken_, true)) {
    return take_request_line(line);
  }
  if (line.empty()) {
    state_ = State::kComplete;
    return 0;
  }
  return take_header(line);
}

// "GET /metrics?x=y HTTP/1.1"
int HttpRequest::take_request_line(std::string_view line) {
  const std::size_t first = std::min(line.find(' '), line.size());
  const std::size_t last = line.rfind(' ');
  const std::string_view method = line.substr(0, first);
  if (first == line.size() || last == first || !is_token(method)) {
    return kBadRequest;
  }
  std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (version.size() != 8 || !version.starts_with("HTTP/")) {
    return kBadRequest;
  }
  if (!version.starts_with("HTTP/1.")) {
    return kVersionNotSupported;
  }
  if (method != "GET" && method != "HEAD") {
    return kMethodNotAllowed;
  }
  head_only_ = method == "HEAD";
  if (constexpr std::string_view kScheme = "http://"; target.starts_with(kScheme)) {
    // As proxies ask: whose the authority is does not matter here.
    target.remove_prefix(std::min(target.find('/', kScheme.size()), target.size()));
  }
  if (!target.starts_with('/') || target.contains(' ')) {
    return kBadRequest;
  }
  path_ = target.substr(0, target.find('?'));
  return 0;
}

int HttpRequest::take_header(std::string_view line) {
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon);
  // A continued line begins with a blank: nobody has sent one for decades, and none is a name.
  if (colon == line.size() || !is_token(name)) {
    return kBadRequest;
  }
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (equal(name, "transfer-encoding")) {
    return kContentTooLarge;
  }
  if (equal(name, "content-length")) {
    const bool number = !value.empty() && std::ranges::all_of(value, [](unsigned char c) { return std::isdigit(c); });
    const bool zero = value.find_first_not_of('0') == std::string_view::npos;
    if (!number) {
      return kBadRequest;
    }
    return zero ? 0 : kContentTooLarge;
  }
  if (equal(name, "accept-encoding")) {
    takes_gzip_ = accepts_gzip(value);
  }
  return 0;
}

}  // namespace hairpind
