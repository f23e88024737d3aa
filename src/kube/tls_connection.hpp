// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hairpind/core/error.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/core/openssl.hpp"
#include "hairpind/kube/cluster_access.hpp"

namespace hairpind {

/// One TLS connection, whose every wait ends: by a deadline, or at once when `stop` becomes readable. Errors name the
/// true reason. Owned by one thread; the descriptor to stop it is anybody's.
class TlsConnection {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  /// The other end, and what it is told and asked to prove. All PEM is text here, not files.
  struct Peer {
    std::string host;
    std::uint16_t port = 443;
    std::string name;  ///< that its certificate must be for: a subject alternative name, a DNS name or an address
    std::optional<HttpProxy> proxy;
    std::string ca_pem;  ///< a bundle; empty: the system's authorities
    bool verify = true;
    std::string certificate_pem;  ///< the client's; empty: none
    std::string key_pem;

    bool operator==(const Peer&) const = default;
  };

  static Result<std::unique_ptr<TlsConnection>> open(const Peer& peer, Deadline deadline, int stop);

  Result<void> write(std::string_view bytes, Deadline deadline, int stop);
  /// How many bytes have come; 0: the other end has closed.
  Result<std::size_t> read(std::span<char> into, Deadline deadline, int stop);

 private:
  TlsConnection(FileDescriptor socket, Openssl<SSL> session)
      : socket_(std::move(socket)), session_(std::move(session)) {}
  static Result<Openssl<SSL_CTX>> settings_for(const Peer& peer);
  Result<void> shake_hands(const Peer& peer, Deadline deadline, int stop);
  /// Waits for what the last call on the session wants; an error if it cannot go on.
  Result<void> wait_after(int result, const char* doing, Deadline deadline, int stop);

  FileDescriptor socket_;
  Openssl<SSL> session_;
};

}  // namespace hairpind
