// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/kube/api_client.hpp"

namespace hairpind {

/// A collection of the API server, or the part of it that a field selector leaves.
struct Collection {
  std::string path;            ///< "/api/v1/pods"
  std::string field_selector;  ///< "spec.nodeName=n1", or empty
};

/// Why the API server did not do as asked.
struct ApiRefusal {
  std::string why;                                  ///< for a person; names the collection
  std::optional<std::chrono::seconds> retry_after;  ///< what the server asked for
};

ApiRefusal refusal(const Collection& collection, const std::string& verb, const ApiClient::Response& response);

/// Gets all objects, in pages; the result is the resourceVersion to watch from.
std::expected<std::string, ApiRefusal> list_collection(
    ApiClient& client, const Collection& collection, int page_size,
    const std::function<void(const std::vector<nlohmann::json>& objects, bool first, bool last)>& on_page);

/// The path and query of a watch that goes on from `resource_version`.
std::string watch_path(const Collection& collection, const std::string& resource_version);

/// The string at a JSON pointer, empty if there is none.
std::string text_at(const nlohmann::json& object, const char* pointer);

}  // namespace hairpind
