// SPDX-License-Identifier: Apache-2.0
// What a client of the agent's listener may send, cut anywhere.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http_request.hpp"

namespace {

using hairpind::HttpRequest;

std::string read(std::string_view bytes, std::size_t step) {
  HttpRequest request;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    request.feed(bytes.substr(at, step));
  }
  const bool complete = request.state() == HttpRequest::State::kComplete;
  // No refusal without its reason, no request without a path, no endless head.
  if ((request.refusal() != 0) != (request.state() == HttpRequest::State::kRefused) ||
      (complete && !request.path().starts_with('/')) || request.path().size() > HttpRequest::kLongestHead ||
      (request.state() == HttpRequest::State::kReading && bytes.size() > HttpRequest::kLongestHead)) {
    std::abort();
  }
  return std::to_string(request.refusal()) + (complete ? "complete" : "") + (request.head_only() ? "HEAD" : "") +
         (request.takes_gzip() ? "gzip" : "") + request.path();
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (read(bytes, 1) != read(bytes, size + 1)) {
    std::abort();
  }
  return 0;
}
