// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "exec_credential.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/kube/cluster_access.hpp"
#include "tls_connection.hpp"

namespace hairpind {

/// What goes with each request: read anew from its files, asked anew of its plugin, as it expires. Not thread safe.
class Credentials {
 public:
  explicit Credentials(ClusterAccess access) : access_(std::move(access)) {}

  /// Whom to connect to, and as whom: another value when a certificate has been replaced. May have to wait for a
  /// plugin, until `stop` becomes readable.
  Result<TlsConnection::Peer> peer(int stop);
  /// The bearer token; empty if there is none. After peer().
  [[nodiscard]] Result<std::string> token() const;
  /// The server would not have them: a plugin is asked again.
  void refused() { handed_out_.reset(); }

  [[nodiscard]] const ClusterAccess& access() const { return access_; }

 private:
  [[nodiscard]] bool lacks_credential() const;

  const ClusterAccess access_;
  std::optional<ExecCredential> handed_out_;
};

}  // namespace hairpind
