// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

namespace hairpind::testing {

/// Each lasts until set otherwise.
struct Faults {
  bool token_rejected = false;    ///< 401 to every request
  bool drop_connections = false;  ///< neither handshakes nor requests get an answer; open watches stay
  bool stall_requests = false;    ///< requests get no answer and stay open; open watches stay
  bool stall_watches = false;     ///< nothing more is sent in any watch, not even its end
  bool cut_watch_lines = false;   ///< watches are sent in small pieces, cut anywhere, each in a TLS record of its own
  int endless_status = 0;         ///< requests get this status and a body that is one string without end
  bool without_cilium = false;    ///< there is no resource of Cilium's: 404, as from a cluster without it
  bool without_gateways = false;  ///< likewise of the Gateway API and of the AWS Load Balancer Controller
  bool old_selectors = false;     ///< Services cannot be selected by their type, as before Kubernetes 1.31
  std::size_t page_size = 0;      ///< lists come in pages of so many, or fewer if asked for; 0: only if asked for
};
/// The next requests that fail, see ApiServer::fail_next().
struct FailNext {
  int count = 0;
  int status = 0;
  int retry_after_seconds = 0;
  std::string request;

  /// Is it this request's turn?
  bool takes(const std::string& text);
};

/// The real server's words for a failure that a test asked for.
nlohmann::ordered_json scripted_failure(int code, int retry_after_seconds);

/// The other end has closed, or at least sends nothing more.
bool peer_gone(int fd);

}  // namespace hairpind::testing
