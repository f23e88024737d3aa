// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/collection.hpp"

#include <cctype>
#include <nlohmann/json.hpp>

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

std::string list_path(const Collection& collection, int page_size, const std::string& continuation) {
  std::string path = collection.path + "?limit=" + std::to_string(page_size);
  if (!collection.field_selector.empty()) {
    path += "&fieldSelector=" + percent_encoded(collection.field_selector);
  }
  if (!continuation.empty()) {
    path += "&continue=" + percent_encoded(continuation);
  }
  return path;
}

}  // namespace

std::string text_at(const Json& object, const char* pointer) {
  const Json::json_pointer at(pointer);
  return object.is_object() && object.contains(at) && object[at].is_string() ? object[at].get<std::string>() : "";
}

std::string watch_path(const Collection& collection, const std::string& resource_version) {
  // Shorter than any proxy's patience; the server ends the watch, and it goes on from where it was.
  std::string path = collection.path + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=290&resourceVersion=" +
                     percent_encoded(resource_version);
  if (!collection.field_selector.empty()) {
    path += "&fieldSelector=" + percent_encoded(collection.field_selector);
  }
  return path;
}

ApiRefusal refusal(const Collection& collection, const std::string& verb, const ApiClient::Response& response) {
  const std::string message = text_at(Json::parse(response.body, nullptr, false), "/message");
  std::string why = collection.path + ": cannot " + verb + " (HTTP " + std::to_string(response.status) +
                    (message.empty() ? "" : ": " + message) + ")";
  if (response.status == 403) {
    why += "; the ClusterRole must allow it, see deploy/daemonset.yaml";
  }
  return {.why = std::move(why), .retry_after = response.retry_after};
}

std::expected<std::string, ApiRefusal> list_collection(
    ApiClient& client, const Collection& collection, int page_size,
    const std::function<void(const std::vector<Json>& objects, bool first, bool last)>& on_page) {
  std::string continuation;
  bool first = true;
  for (;;) {
    const auto response = client.get(list_path(collection, page_size, continuation));
    if (!response) {
      return std::unexpected(
          ApiRefusal{.why = collection.path + ": " + response.error().message, .retry_after = std::nullopt});
    }
    if (response->status != 200) {
      // 410 Gone between two pages too: the list begins anew.
      return std::unexpected(refusal(collection, "list", *response));
    }
    const Json page = Json::parse(response->body, nullptr, false);
    std::string version = text_at(page, "/metadata/resourceVersion");
    if (page.is_discarded() || !page.contains("items") || version.empty()) {
      return std::unexpected(
          ApiRefusal{.why = collection.path + ": the answer is no list", .retry_after = std::nullopt});
    }
    continuation = text_at(page, "/metadata/continue");
    const Json& items = page["items"];
    static const std::vector<Json> none;
    // An empty list may be null.
    on_page(items.is_array() ? items.get_ref<const Json::array_t&>() : none, first, continuation.empty());
    first = false;
    if (continuation.empty()) {
      return version;
    }
  }
}

}  // namespace hairpind
