// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// Host and port (host order) of "ADDR:PORT" or "[V6]:PORT"; the host without brackets.
Result<std::pair<std::string, std::uint16_t>> parse_listen_address(std::string_view text);

/// /metrics, /healthz and /readyz, in threads of its own.
class HttpServer {
 public:
  /// Called from the server's threads.
  struct Handlers {
    std::function<std::string()> metrics;
    std::function<bool()> healthy;
    std::function<bool()> ready;
  };

  /// Listens when it returns; an address in use is an error. Port 0 takes a free one.
  static Result<std::unique_ptr<HttpServer>> start(const std::string& address, std::uint16_t port,
                                                   const Handlers& handlers);
  /// Waits for requests in progress.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  struct Listener;
  explicit HttpServer(std::unique_ptr<Listener> listener);
  std::unique_ptr<Listener> listener_;
};

}  // namespace hairpind
