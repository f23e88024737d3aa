// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

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
  int status = 0;                                   ///< of HTTP; 0: there was no answer
  std::optional<std::chrono::seconds> retry_after;  ///< what the server asked for
};

ApiRefusal refusal(const Collection& collection, const std::string& verb, const ApiClient::Response& response);

/// How a list is asked for.
struct ListOptions {
  int page_size = 500;
  /// The oldest state that will do: "0" whatever the server has at hand, which costs it least and may be a little old;
  /// "" the very newest, which costs it most.
  std::string resource_version = "0";
};

/// Gets all objects, one by one as they come, null for one that is larger than any true one; the result is the
/// resourceVersion to watch from. After an error some may have been told.
std::expected<std::string, ApiRefusal> list_collection(
    ApiClient& client, const Collection& collection, const ListOptions& options,
    const std::function<void(const nlohmann::json& object)>& on_object);

/// The path and query of a watch that goes on from `resource_version`, and that the server ends after so long.
std::string watch_path(const Collection& collection, const std::string& resource_version, std::chrono::seconds length);

}  // namespace hairpind
