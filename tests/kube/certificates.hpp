// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

namespace hairpind::testing {

/// Both PEM.
struct KeyPair {
  std::string certificate;
  std::string private_key;
};

/// What a cluster's API server and one of its clients hold.
struct Certificates {
  std::string ca;
  KeyPair server;  ///< signed by ca, for the names asked for
  KeyPair client;  ///< signed by ca; its common name, kClientName, is the user
  std::string other_ca;
  KeyPair other_server;  ///< as server, but signed by other_ca
};

inline constexpr const char* kClientName = "hairpind-client";
inline constexpr const char* kLoopbackNames = "IP:127.0.0.1,IP:::1,DNS:localhost";

/// `server_names` in OpenSSL's subjectAltName syntax. A negative `valid_for` makes servers whose certificates ended
/// that long ago. Throws where OpenSSL fails.
Certificates make_certificates(const std::string& server_names = kLoopbackNames,
                               std::chrono::seconds valid_for = std::chrono::hours(24));

/// The same key, kept by a password.
std::string locked(const std::string& private_key);

}  // namespace hairpind::testing
