// SPDX-License-Identifier: Apache-2.0
#include "certificate_log.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace hairpind {

void CertificateLog::operator()(const Result<std::string>& read) {
  if (read) {
    failures_ = 0;
    spdlog::info("TLS certificate {}: read again, valid until {}", path_, *read);
    return;
  }
  failures_ = std::min(failures_ + 1, kNoMoment + 1);
  if (failures_ == kNoMoment) {
    spdlog::error("{}; the listener goes on with the certificate that it has", read.error().message);
  }
}

}  // namespace hairpind
