// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// Host without brackets, and port (host order).
using ListenAddress = std::pair<std::string, std::uint16_t>;

/// Of "ADDR:PORT" or "[V6]:PORT".
Result<ListenAddress> parse_listen_address(std::string_view text);

/// PEM files: the server's certificate, which its issuers' may follow, and its key.
struct TlsFiles {
  std::string certificate;
  std::string key;
};

/// /metrics, /healthz, /readyz, and for who is on this machine /v1/status, by HTTP/1.1, over TLS where it is given a
/// certificate, for neighbours that are not to be trusted: one request a connection, of bounded bytes, time and number,
/// whatever they send. Why it is no library: docs/design.md.
///
/// Owns: a thread, in which everything is done, and the sockets. Probes are answered as soon as they are read; a page
/// is rendered for all who wait for one together, with a pause before the next; so is what TLS takes before a question
/// is known: a piece of one client's, and a pause.
class HttpServer {
 public:
  /// Called from the server's thread, one at a time. `healthy` and `ready` are to take no time.
  struct Handlers {
    std::function<std::string()> metrics;
    std::function<std::string()> status;
    std::function<bool()> healthy;
    std::function<bool()> ready;
    /// The certificate's files have been read again, as they were others: the end of its days, or why the one before
    /// stays; that is told each second until it is over.
    // NOLINTNEXTLINE(readability-redundant-member-init): g++ warns of designated initializers that leave it out
    std::function<void(const Result<std::string>&)> certificate{};
    // NOLINTNEXTLINE(readability-redundant-member-init): g++ warns of designated initializers that leave it out
    std::string landing{};  ///< HTML, for a person who has found the port
  };

  /// What to listen on.
  struct Listeners {
    // NOLINTBEGIN(readability-redundant-member-init): g++ warns of designated initializers that leave them out
    std::optional<ListenAddress> pages{};   ///< all of them
    std::optional<TlsFiles> tls{};          ///< for `pages`; nothing: plain HTTP
    std::optional<ListenAddress> probes{};  ///< /healthz and /readyz alone, by plain HTTP
    // NOLINTEND(readability-redundant-member-init)
  };

  /// Clients that have not asked yet, or have asked for a probe; the one that has been silent longest makes room.
  static constexpr std::size_t kMostAsking = 96;
  /// Those on this machine, as the kubelet, have places that nobody else pushes them out of.
  static constexpr std::size_t kMostAskingHere = 32;
  /// Clients that TLS has begun with and that have not asked yet: each takes up to 200 KB.
  static constexpr std::size_t kMostShaking = 32;
  /// Clients that wait for the page, take it in, or have just done so; likewise.
  static constexpr std::size_t kMostServed = 16;

  /// Clients may connect when it returns, and wait; an address in use is an error, and a certificate that cannot be
  /// used. Port 0 takes a free one.
  static Result<std::unique_ptr<HttpServer>> listen(const Listeners& listeners, const Handlers& handlers);
  /// Starts the thread, with the rights of the caller's.
  void serve();
  /// At once: answers in the middle are cut.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Of the pages, or the probes; 0 where there is no such listener.
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::uint16_t probes_port() const;

 private:
  class Service;
  explicit HttpServer(std::unique_ptr<Service> service);
  std::unique_ptr<Service> service_;
};

}  // namespace hairpind
