// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <mutex>
#include <set>

namespace hairpind::testing {

/// The server's ends of all TLS connections, so that they can be cut at any moment, even before their handshake.
/// Thread safe.
class Connections {
 public:
  /// Follows all sessions of this context, which must go first.
  void follow(SSL_CTX& tls);
  /// Whether handshakes are cut from now on.
  void refuse(bool refusing);
  /// Cuts all that are open, and all that come.
  void cut();

 private:
  /// Kept with each session, from its first step to its end.
  struct Connection {
    Connections* all;
    int fd;
  };

  static int index();
  static void on_tls_state(const SSL* session, int where, int result);

  std::mutex mutex_;
  std::set<Connection*> open_;
  bool refusing_ = false;
};

}  // namespace hairpind::testing
