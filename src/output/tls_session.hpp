// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "hairpind/core/openssl.hpp"

namespace hairpind {

/// The server's end of TLS on one connection: bytes in, bytes out, by OpenSSL. Has no socket, and never waits.
class TlsSession {
 public:
  /// Of the settings' certificate, also when they are replaced meanwhile.
  explicit TlsSession(SSL_CTX& settings);

  /// What has come; appends to `said` what the client says in it. False: it says no more, or is none that TLS is to be
  /// spoken with. What is to be sent then is the last.
  [[nodiscard]] bool take(std::string_view bytes, std::string& said);
  /// Of at most kLargestPiece bytes, into what is to be sent. False: it cannot be.
  [[nodiscard]] bool say(std::string_view piece);
  /// No more is said: whoever hears this knows that nothing was cut off.
  void say_goodbye();

  static constexpr std::size_t kLargestPiece = 16384;  ///< of a record

  /// Until the next call.
  [[nodiscard]] std::string_view to_send() const;
  void sent(std::size_t bytes);

 private:
  Openssl<SSL> session_;  ///< null: there was no memory
  BIO* in_ = nullptr;     ///< the session's, as the other
  BIO* out_ = nullptr;
};

}  // namespace hairpind
