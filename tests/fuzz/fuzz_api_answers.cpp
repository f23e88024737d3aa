// SPDX-License-Identifier: Apache-2.0
// What an API server may send: an HTTP answer with a list in it, cut anywhere.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "http_response.hpp"
#include "list_reader.hpp"

namespace {

std::string read(std::string_view bytes, std::size_t step) {
  hairpind::HttpResponse response;
  std::string told;
  hairpind::ListReader reader([&](const nlohmann::json& object) {
    told += object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  });
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const auto fed = response.feed(
        bytes.substr(at, step), [&] { told += std::to_string(response.status()); },
        [&](std::string_view piece) { return reader.feed(piece).has_value(); });
    if (!fed || response.abandoned()) {
      return told;
    }
  }
  return told + (response.finish() && reader.frame() ? "whole" : "cut");
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
