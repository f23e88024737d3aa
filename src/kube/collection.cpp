// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/collection.hpp"

#include <cctype>
#include <chrono>
#include <nlohmann/json.hpp>

#include "json_reading.hpp"
#include "list_reader.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;

// RFC 3986, 2.3.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4U], kDigits[byte & 0xfU]};
    }
  }
  return encoded;
}

// A whole collection may take its time, but not for ever: a server that drips would never be out of step.
constexpr std::chrono::seconds kSilence{30};
constexpr std::chrono::minutes kLongestList{5};

std::string list_path(const Collection& collection, const ListOptions& options, const std::string& continuation) {
  std::string path = collection.path + "?limit=" + std::to_string(options.page_size);
  if (!collection.field_selector.empty()) {
    path += "&fieldSelector=" + percent_encoded(collection.field_selector);
  }
  if (!continuation.empty()) {
    path += "&continue=" + percent_encoded(continuation);
  } else if (!options.resource_version.empty()) {
    path += "&resourceVersion=" + percent_encoded(options.resource_version);
  }
  return path;
}

}  // namespace

std::string watch_path(const Collection& collection, const std::string& resource_version, std::chrono::seconds length) {
  std::string path = collection.path +
                     "?watch=1&allowWatchBookmarks=true&timeoutSeconds=" + std::to_string(length.count()) +
                     "&resourceVersion=" + percent_encoded(resource_version);
  if (!collection.field_selector.empty()) {
    path += "&fieldSelector=" + percent_encoded(collection.field_selector);
  }
  return path;
}

ApiRefusal refusal(const Collection& collection, const std::string& verb, const ApiClient::Response& response) {
  const std::string message = text_at(parse_object(response.body).value_or(Json()), "/message");
  std::string why = collection.path + ": cannot " + verb + " (HTTP " + std::to_string(response.status) +
                    (message.empty() ? "" : ": " + message) + ")";
  if (response.status == 403) {
    why += "; the ClusterRole must allow it, see deploy/daemonset.yaml";
  }
  return {.why = std::move(why), .status = response.status, .retry_after = response.retry_after};
}

std::expected<std::string, ApiRefusal> list_collection(ApiClient& client, const Collection& collection,
                                                       const ListOptions& options,
                                                       const std::function<void(const Json& object)>& on_object) {
  const auto failed = [&](const std::string& why) {
    return std::unexpected(ApiRefusal{.why = collection.path + ": " + why, .status = 0, .retry_after = std::nullopt});
  };
  const auto until = std::chrono::steady_clock::now() + kLongestList;
  std::string continuation;
  for (;;) {
    ListReader reader(on_object);
    Result<void> read;
    const auto response = client.stream(
        list_path(collection, options, continuation), kSilence, [] {},
        [&](std::string_view piece) {
          read = std::chrono::steady_clock::now() < until ? reader.feed(piece)
                                                          : fail("the list did not end within five minutes");
          return read.has_value();
        });
    if (!response) {
      return failed(response.error().message);
    }
    if (response->status != 200) {
      // 410 Gone between two pages too: the list begins anew.
      return std::unexpected(refusal(collection, "list", *response));
    }
    if (!read) {
      return failed(read.error().message);
    }
    const auto frame = reader.frame();
    if (!frame) {
      return failed(frame.error().message);
    }
    continuation = text_at(*frame, "/metadata/continue");
    if (continuation.empty()) {
      return text_at(*frame, "/metadata/resourceVersion");
    }
  }
}

}  // namespace hairpind
