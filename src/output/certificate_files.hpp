// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

#include "hairpind/core/error.hpp"
#include "hairpind/core/openssl.hpp"
#include "hairpind/output/http_server.hpp"

namespace hairpind {

/// The certificate by which the server is known, and its key, as they are in their files by now. A pair that cannot be
/// used leaves the one before it.
class CertificateFiles {
 public:
  /// An error: there is no pair to begin with.
  static Result<CertificateFiles> open(TlsFiles files);

  /// Reads them again if they are others than those that are in use. True: and they are in use now; false: nothing new.
  Result<bool> look_again();

  /// What sessions begin with; they keep it for themselves.
  [[nodiscard]] SSL_CTX& settings() const { return *settings_; }
  /// The end of the certificate's days, RFC 3339.
  [[nodiscard]] const std::string& valid_until() const { return valid_until_; }

 private:
  struct File {
    std::string text;
    struct stat identity{};
  };

  explicit CertificateFiles(TlsFiles files) : files_(std::move(files)) {}
  [[nodiscard]] bool are_those_in_use() const;
  static Result<File> read(const std::string& path);
  Result<void> use(const File& certificate, const File& key);

  TlsFiles files_;
  struct stat certificate_{};  ///< of the file in use
  struct stat key_{};
  Openssl<SSL_CTX> settings_;
  std::string valid_until_;
};

}  // namespace hairpind
