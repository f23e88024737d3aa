// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/verification.hpp"

namespace hairpind {

/// The addresses of a name, each with `port`, as the system's resolver gives them (getaddrinfo) for the families that
/// this host has. Takes as long as that does.
Result<std::vector<Endpoint>> resolve_now(const std::string& host, std::uint16_t port);

struct ProbePlan {
  std::vector<Endpoint> load_balancers;  ///< in turn
  std::size_t connections = 1;
  std::chrono::milliseconds timeout{3000};  ///< of one handshake
};

/// Opens TCP connections, a few at once, each from a port of its own (the kernel's choice), and closes each as soon as
/// its handshake has ended; no byte of data is sent. `progress` is told after each how many have ended. An error is
/// this host's own: no socket, no port, no route.
Result<std::vector<TriedHandshake>> probe(const ProbePlan& plan, const std::function<void(std::size_t)>& progress);

}  // namespace hairpind
