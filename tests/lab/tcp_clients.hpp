// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind::testing {

/// Opens one connection after the other from the calling thread's namespace: connect, GET, read the answer, close.
/// Returns how many got a complete answer.
int complete_requests(const std::string& address, int port, int count);

/// The same, `at_once` connections at a time in one thread. Each is closed by the server, after its answer.
int complete_requests_at_once(const std::string& address, int port, int count, int at_once);

/// Connections being opened at once; each sends its SYN now and its retransmits later. Closed when destroyed.
class PendingConnections {
 public:
  /// From the calling thread's namespace, without waiting for any of them. Their own ports are the `count` from
  /// `first_source_port` on, or the kernel's choice.
  PendingConnections(const std::string& address, int port, int count, int first_source_port = 0);

  /// How many are established by now.
  [[nodiscard]] int established() const;

 private:
  std::vector<FileDescriptor> sockets_;
};

}  // namespace hairpind::testing
