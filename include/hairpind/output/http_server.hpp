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

/// /metrics, /healthz, /readyz, and for who is on this machine /v1/status, by HTTP/1.1, for neighbours that are not to
/// be trusted: one request a connection, of bounded bytes, time and number, whatever they send. Why it is no library:
/// docs/design.md.
///
/// Owns: a thread, in which everything is done, and the sockets. Probes are answered as soon as they are read; a page
/// is rendered for all who wait for one together, with a pause before the next.
class HttpServer {
 public:
  /// Called from the server's thread, one at a time. `healthy` and `ready` are to take no time.
  struct Handlers {
    std::function<std::string()> metrics;
    std::function<std::string()> status;
    std::function<bool()> healthy;
    std::function<bool()> ready;
    // NOLINTNEXTLINE(readability-redundant-member-init): g++ warns of designated initializers that leave it out
    std::string landing{};  ///< HTML, for a person who has found the port
  };

  /// Clients that have not asked yet, or have asked for a probe; the one that has been silent longest makes room.
  static constexpr std::size_t kMostAsking = 96;
  /// Clients that wait for the page, take it in, or have just done so; likewise.
  static constexpr std::size_t kMostServed = 16;

  /// Clients may connect when it returns, and wait; an address in use is an error. Port 0 takes a free one.
  static Result<std::unique_ptr<HttpServer>> listen(const std::string& address, std::uint16_t port,
                                                    const Handlers& handlers);
  /// Starts the thread, with the rights of the caller's.
  void serve();
  /// At once: answers in the middle are cut.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  class Service;
  explicit HttpServer(std::unique_ptr<Service> service);
  std::unique_ptr<Service> service_;
};

}  // namespace hairpind
