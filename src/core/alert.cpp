// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/alert.hpp"

namespace hairpind {

std::string_view to_string(AlertEvent event) {
  switch (event) {
    case AlertEvent::kAsymmetricHandshake:
      return "asymmetric_handshake";
    case AlertEvent::kAsymmetricHandshakeRepeated:
      return "asymmetric_handshake_repeated";
    case AlertEvent::kAsymmetricHandshakeEvidence:
      return "asymmetric_handshake_evidence";
    case AlertEvent::kAsymmetricHandshakeResolved:
      return "asymmetric_handshake_resolved";
    case AlertEvent::kAsymmetricHandshakeDormant:
      return "asymmetric_handshake_dormant";
    case AlertEvent::kHairpinExposure:
      break;
  }
  return "hairpin_exposure";
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kCritical:
      break;
  }
  return "critical";
}

}  // namespace hairpind
