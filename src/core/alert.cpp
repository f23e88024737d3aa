// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/alert.hpp"

namespace hairpind {

std::string_view to_string(AlertEvent event) {
  switch (event) {
    case AlertEvent::kAsymmetricHandshake:
      return "asymmetric_handshake";
    case AlertEvent::kAsymmetricHandshakeRepeated:
      return "asymmetric_handshake_repeated";
    case AlertEvent::kHairpinExposure:
      break;
  }
  return "hairpin_exposure";
}

std::string_view to_string(Severity severity) {
  return severity == Severity::kCritical ? "critical" : "warning";
}

}  // namespace hairpind
