// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <stop_token>
#include <thread>

#include "hairpind/core/file_descriptor.hpp"
#include "network_lab.hpp"

namespace hairpind::testing {

/// A third pod of the routed lab, 10.0.1.30 on the node's veth3, that sends whatever it likes, in a thread of its own:
///
/// * a flood of SYNs to a load balancer that answers nobody (kSilent), from its own address and from those of nobody
///   (10.4.0.0/16), until the table of attempts is full;
/// * SYNs to it in the names of p1 and its clients (10.0.1.10, 10.3.0.0/16);
/// * to itself, the answers to its own SYNs in the names of p1, of the load balancer and of a server elsewhere, and its
///   RSTs to them; to p1, answers to nothing;
/// * twenty times a second a SYN to 10.0.5.5:443 from an address of 10.4.0.0/16 that it has not used before: a real
///   hairpin, in a name that nobody can check.
class HostilePod {
 public:
  static constexpr const char* kSilent = "10.0.5.77";

  HostilePod(const NetworkLab& lab, std::uint32_t packets_a_second);

  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  /// How many of its own hairpins have been sent; the n-th, from 0, from 10.4.0.0 + n + 1.
  [[nodiscard]] std::uint32_t hairpins() const { return hairpins_; }

 private:
  void run(const std::stop_token& stop, std::uint32_t packets_a_second);
  void flood(bool own_address);
  void send_in_others_names();
  void answer_itself();
  void send_hairpin();
  std::uint16_t any_port() { return static_cast<std::uint16_t>(1024 + random_() % 60000); }

  FileDescriptor sender_;
  std::minstd_rand random_;
  std::atomic<std::uint64_t> sent_ = 0;
  std::atomic<std::uint32_t> hairpins_ = 0;
  std::jthread thread_;  ///< last: it uses the others
};

}  // namespace hairpind::testing
