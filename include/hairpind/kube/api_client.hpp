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

/// Requests to one API server, which is not trusted with memory: heads, bodies that are kept, and what gzip makes
/// of them are bounded. One request at a time; stop() may come from another thread. The process ignores SIGPIPE.
class ApiClient {
 public:
  struct Response {
    int status = 0;
    std::string body;                                 ///< of a stream that is not 200, its beginning
    std::optional<std::chrono::seconds> retry_after;  ///< what the server asked for
  };
  /// What is sent along with a request, and how.
  struct Change {
    std::string method;        ///< "POST", "PATCH"
    std::string content_type;  ///< "application/json", "application/merge-patch+json"
    std::string body;
  };
  /// Gets each piece of the body as it comes; false ends the request.
  using OnPiece = std::function<bool(std::string_view)>;

  static Result<std::unique_ptr<ApiClient>> create(ClusterAccess access);
  ~ApiClient();
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;

  /// Any HTTP status is a response; an error is a server that cannot be reached or trusted, goes silent, or sends a
  /// body beyond 4 MiB.
  Result<Response> get(const std::string& path);
  /// The same with a change: 201 or 200 where it has been made. It must be one that may be made twice: the connection
  /// on which it was sent may have ended before the answer came, and then it is sent again.
  Result<Response> send(const std::string& path, const Change& change);
  /// As get() with the body of a 200 in pieces; `silence` is how long the server may send nothing, `on_open` is called
  /// when it has agreed, before the first piece.
  Result<Response> stream(const std::string& path, std::chrono::milliseconds silence,
                          const std::function<void()>& on_open, const OnPiece& on_piece);
  /// Ends the request in progress at once, and all later ones, with an error.
  void stop();

 private:
  class Connection;
  explicit ApiClient(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace hairpind
