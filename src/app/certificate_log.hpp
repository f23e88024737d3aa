// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// What log and metrics say of the listener's certificate as its files are read again: a new one, and once of a pair
/// that cannot be used. Called by the server's thread alone.
class CertificateLog {
 public:
  explicit CertificateLog(std::string path) : path_(std::move(path)) {}

  /// The end of its days, or why the one before stays: HttpServer::Handlers::certificate.
  void operator()(const Result<std::string>& read);

  /// The pair in the files is the one in use; false: it cannot be used, and the one before stays.
  [[nodiscard]] bool current() const { return failures_ < kNoMoment; }

 private:
  // A pair that is just being written, one file and then the other, is no pair for a moment.
  static constexpr int kNoMoment = 2;

  std::string path_;
  int failures_ = 0;  ///< since it was last read
};

}  // namespace hairpind
