// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bpf_runner.hpp"
#include "hairpind/bpf/kernel_side.hpp"
#include "node_test.hpp"
#include "packet_builder.hpp"
#include "shared_kernel_side.hpp"

namespace hairpind::testing {

constexpr std::uint32_t kIsn = 0x10203040;

/// The words of DESIGN's drawing: P1 client pod, P2 target pod, both here; LB; NODE.
struct Addresses {
  const char* p1;
  const char* p2;
  const char* lb;
  const char* other_lb;
  const char* node;
  const char* elsewhere;
};
inline constexpr Addresses kV4{"10.0.1.10", "10.0.1.20", "10.0.5.5", "10.0.5.6", "10.0.0.4", "10.0.9.9"};
inline constexpr Addresses kV6{"fd00:1::10", "fd00:1::20", "fd00:5::5", "fd00:5::6", "fd00::4", "fd00:9::9"};

/// The client's SYN to the load balancer.
PacketBuilder syn(const Addresses& a, std::uint16_t port = 40000, std::uint32_t isn = kIsn);
/// An answer to it, from whomever.
PacketBuilder synack(const char* source, std::uint16_t source_port, const char* client, std::uint16_t port = 40000,
                     std::uint32_t isn = kIsn);
/// The SYN as the load balancer sent it back, or as it was translated on its way.
PacketBuilder returned(const char* source, const char* destination, std::uint16_t destination_port,
                       std::uint16_t port = 40000, std::uint32_t isn = kIsn);

/// The packet programs, packet by packet, through BPF_PROG_TEST_RUN on the real kernel, on a node with two pods and
/// two load balancers of each family. Needs root.
class HandshakeTest : public NodeTest {
 protected:
  void SetUp() override;

  // Test packets end in kfree_skb, which the tracepoint would take for the kernel dropping them.
  static KernelFeatures features() {
    return KernelFeatures::probe().without(Feature::kDropReasons).without(Feature::kResetTracepoint);
  }

  // Loaded for this test alone, with options of its own.
  void load(Programs::Options options, const KernelFeatures& with = features());
  void use(KernelSide& side);

  [[nodiscard]] bool change_frontends(const std::vector<Frontend>& added, const std::vector<Frontend>& removed) const;
  [[nodiscard]] bool set_frontends(const std::vector<Frontend>& wanted) const;

  // Every packet of every test is passed on, untouched.
  void see(Hook hook, const std::string& device, const PacketBuilder& packet) const;
  // The same for any bytes.
  void pass(Hook hook, const std::string& device, const std::vector<std::uint8_t>& packet) const;

  // DESIGN section 1, first row: LB rewrites only the destination.
  void hairpin_ip_target(const Addresses& a, std::uint16_t port = 40000, std::uint32_t isn = kIsn) const;
  // The same up to where it may still be a legitimate, policy-routed connection.
  void hairpin_suspected(const Addresses& a) const;

  [[nodiscard]] std::vector<Event> events() const;
  [[nodiscard]] LoadBalancerCounters counters(const char* lb, std::uint16_t port = 443) const;
  [[nodiscard]] std::uint64_t total(hp_total index) const { return counts->read_totals().at(index); }

  // As if `elapsed` had passed since the newest packet: how many attempts are undecided.
  std::uint64_t sweep_after(std::chrono::nanoseconds elapsed) const { return sweep_at(monotonic_now() + elapsed); }
  std::uint64_t sweep_at(SinceBoot now) const;
  static SinceBoot monotonic_now();

  std::unique_ptr<KernelSide> own;
  KernelSide* kernel = nullptr;
  const CounterReader* counts = nullptr;  ///< the kernel's
};

/// Each test over IPv4 and IPv6.
class HandshakeFamilyTest : public HandshakeTest, public ::testing::WithParamInterface<const Addresses*> {
 protected:
  [[nodiscard]] const Addresses& a() const { return *GetParam(); }
};

inline std::string family_name(const ::testing::TestParamInfo<const Addresses*>& parameter) {
  return parameter.param == &kV4 ? "ipv4" : "ipv6";
}

}  // namespace hairpind::testing
