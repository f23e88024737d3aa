// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "hairpind/core/file_descriptor.hpp"
#include "network_lab.hpp"

namespace hairpind::testing {

/// Crafted SYNs from p1 to the load balancer 10.0.5.5:443, from many client addresses, each a new attempt: the
/// sender is paced by what has been refused. An attempt counts as refused when p1's own stack has sent its RST; until
/// then its SYN is repeated, as a client's stack would, so that every attempt ends the same way.
///
/// The clients are 10.2.0.`first_client` and the addresses that follow, of 10.2.0.0/23, which the lab routes to p1 from
/// then on. Several storms with other clients may run at once, each in its own thread.
class SynStorm {
 public:
  SynStorm(const NetworkLab& lab, std::uint32_t first_client, std::uint32_t clients);

  /// Sends until `count` more attempts have been refused; false if none is for half a minute. Attempts are spread over
  /// the clients evenly.
  [[nodiscard]] bool run(std::uint32_t count);

  /// SYNs that had to be repeated, because nothing had been heard of them for a second.
  [[nodiscard]] std::uint64_t retransmits() const { return retransmits_; }

 private:
  struct Waiting {
    std::uint32_t attempt;
    std::chrono::steady_clock::time_point sent;
  };

  [[nodiscard]] std::uint32_t attempts() const { return static_cast<std::uint32_t>(refused_.size()); }
  void send(const std::vector<std::uint32_t>& attempts);
  std::uint32_t receive();

  const std::uint32_t first_client_;  ///< host order
  const std::uint32_t clients_;
  FileDescriptor sender_;
  FileDescriptor receiver_;
  std::vector<bool> refused_;    ///< by attempt
  std::deque<Waiting> waiting_;  ///< in the order of sending; those refused meanwhile are dropped when they come up
  std::uint64_t retransmits_ = 0;
};

/// Crafted SYNs of one pod, each a new attempt, to an address that nobody has; it does not wait for anything. Runs in a
/// thread of its own from construction to destruction.
class SynFlood {
 public:
  /// From `pod`, whose address is `source`, to port 443 of `destination`, both IPv4; `rate` a second at the most.
  SynFlood(const NetworkLab& lab, const std::string& pod, const std::string& source, const std::string& destination,
           std::uint32_t rate);

  [[nodiscard]] std::uint32_t sent() const { return sent_; }

 private:
  void run(const std::stop_token& stop, std::uint32_t source, std::uint32_t destination, std::uint32_t rate);

  FileDescriptor sender_;
  std::atomic<std::uint32_t> sent_ = 0;
  std::jthread thread_;
};

}  // namespace hairpind::testing
