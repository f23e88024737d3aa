// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hairpind/abi.h"
#include "hairpind/core/address.hpp"

namespace hairpind {

/// A time by CLOCK_MONOTONIC, which counts from boot, as the kernel side stamps it.
using SinceBoot = std::chrono::nanoseconds;

/// Why a program of Cilium's dropped a packet, by its own numbers.
struct CiliumDrop {
  std::uint32_t source_identity = 0;
  std::uint32_t destination_identity = 0;
  std::uint32_t endpoint = 0;  ///< local endpoint that the packet was on its way into, 0 if none
  std::uint32_t reason = 0;    ///< core/cilium_drop.hpp

  bool operator==(const CiliumDrop&) const = default;
};

enum class EventKind : std::uint8_t {
  kMismatch = HP_EVENT_MISMATCH,
  kOutcome = HP_EVENT_OUTCOME,
  kConntrack = HP_EVENT_CONNTRACK,  ///< a question, about an attempt not decided yet
  kLearned = HP_EVENT_LEARNED,      ///< the attempt's load balancer was named by nobody (S0)
};

enum class Cause : std::uint8_t {
  kNone = HP_CAUSE_NONE,
  kHairpinIpTarget = HP_CAUSE_HAIRPIN_IP_TARGET,
  kHairpinNodePort = HP_CAUSE_HAIRPIN_NODE_PORT,
  kHairpinHostTarget = HP_CAUSE_HAIRPIN_HOST_TARGET,
  kHairpinMartian = HP_CAUSE_HAIRPIN_MARTIAN,
  kHairpinRpFilter = HP_CAUSE_HAIRPIN_RP_FILTER,
  kAsymmetricRemote = HP_CAUSE_ASYMMETRIC_REMOTE,
  kUnsolicitedSynAck = HP_CAUSE_UNSOLICITED_SYNACK,
};

enum class Outcome : std::uint8_t {
  kUnknown = HP_OUTCOME_UNKNOWN,
  kResetByClient = HP_OUTCOME_RESET_BY_CLIENT,
  kDropped = HP_OUTCOME_DROPPED,
  kCompleted = HP_OUTCOME_COMPLETED,
};

enum class Conntrack : std::uint8_t {
  kUnchecked = HP_CONNTRACK_UNCHECKED,
  kNoEntry = HP_CONNTRACK_NO_ENTRY,
  kNotTranslated = HP_CONNTRACK_NOT_TRANSLATED,
  kTranslated = HP_CONNTRACK_TRANSLATED,
};

enum class ConntrackSource : std::uint8_t {
  kNone = HP_CONNTRACK_SOURCE_NONE,
  kKernel = HP_CONNTRACK_SOURCE_KERNEL,
  kNetlink = HP_CONNTRACK_SOURCE_NETLINK,
  kCilium = HP_CONNTRACK_SOURCE_CILIUM,
};

enum class ResponderKind : std::uint8_t {
  kNone = HP_RESPONDER_NONE,
  kLocalPod = HP_RESPONDER_LOCAL_POD,
  kNode = HP_RESPONDER_NODE,
  kRemote = HP_RESPONDER_REMOTE,
};

/// The words of alerts and metric labels: "hairpin_ip_target", "reset_by_client", "not_translated", "kernel",
/// "local_pod".
std::string_view to_string(Cause cause);
std::string_view to_string(Outcome outcome);
std::string_view to_string(Conntrack conntrack);
std::string_view to_string(ConntrackSource source);
std::string_view to_string(ResponderKind kind);

/// One attempt that the kernel side found misdirected: abi.h's hp_attempt, decoded and checked.
struct Attempt {
  Endpoint client;
  std::uint32_t isn = 0;
  Endpoint load_balancer;
  Endpoint returned;     ///< destination of the SYN that came back in (S2); empty if not seen
  Endpoint synack_sent;  ///< source of the SYN-ACK as it left a local pod, or came in on an uplink; empty if not seen
  Endpoint synack_delivered;  ///< source of the SYN-ACK as the client got it; empty if not seen
  Endpoint responder;         ///< as the client sees it (hp_responder); empty where nothing answered
  SinceBoot first_syn{};
  SinceBoot synack{};  ///< 0 = no wrong SYN-ACK seen
  std::uint32_t syn_ifindex = 0;
  std::uint32_t synack_ifindex = 0;
  std::uint32_t synack_ack = 0;
  bool host_client = false;  ///< the client is the node itself
  bool learned = false;      ///< nobody had named the load balancer (S0)
  bool captured = false;     ///< its packets are copied (core/captured_packet.hpp)
  Conntrack conntrack = Conntrack::kUnchecked;
  ConntrackSource conntrack_source = ConntrackSource::kNone;
  Cause cause = Cause::kNone;
  Outcome outcome = Outcome::kUnknown;
  std::uint32_t drop_reason = 0;  ///< this kernel's number; meaningful with Outcome::kDropped
  bool syn_dropped = false;       ///< Outcome::kDropped: the SYN that came back, not an answer
  std::optional<CiliumDrop> cilium_drop;
  ResponderKind responder_kind = ResponderKind::kNone;

  [[nodiscard]] bool synack_seen() const { return synack.count() != 0; }

  /// Fails on an enumerator that this build does not know.
  static std::expected<Attempt, std::string> from_abi(const hp_attempt& attempt);
};

struct Event {
  EventKind kind = EventKind::kMismatch;
  SinceBoot time{};
  Attempt attempt;
  std::string drop_symbol;  ///< kernel function that dropped the packet; empty if unknown
};

/// Decodes one ring-buffer record, which may be truncated, oversized, unaligned or of an unknown kind.
/// The error says why, for the log; nothing is read past `record`.
std::expected<Event, std::string> decode_event(std::span<const std::byte> record);

}  // namespace hairpind
