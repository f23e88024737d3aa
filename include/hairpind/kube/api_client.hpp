// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "hairpind/core/error.hpp"
#include "hairpind/kube/cluster_access.hpp"

namespace hairpind {

/// GET requests to one API server. One request at a time; stop() may come from another thread.
class ApiClient {
 public:
  struct Response {
    int status = 0;
    std::string body;                                 ///< of a stream that is not 200, too
    std::optional<std::chrono::seconds> retry_after;  ///< what the server asked for
  };
  /// Gets each piece of the body as it comes; false ends the request.
  using OnPiece = std::function<bool(std::string_view)>;

  static Result<std::unique_ptr<ApiClient>> create(ClusterAccess access);
  ~ApiClient();
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;

  /// Any HTTP status is a response; an error is a server that cannot be reached or trusted, or goes silent.
  Result<Response> get(const std::string& path);
  /// The same with the body of a 200 in pieces; `silence` is how long the server may send nothing, `on_open` is called
  /// when it has agreed, before the first piece.
  Result<Response> stream(const std::string& path, std::chrono::seconds silence, const std::function<void()>& on_open,
                          const OnPiece& on_piece);
  /// Ends the request in progress and all later ones with an error.
  void stop();

 private:
  struct Connection;
  explicit ApiClient(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace hairpind
