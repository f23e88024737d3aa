// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/event.hpp"

#include <algorithm>
#include <cstring>

namespace hairpind {
namespace {

template <typename Enum>
bool known(std::uint8_t value, std::uint8_t count, Enum& out) {
  if (value >= count) {
    return false;
  }
  out = static_cast<Enum>(value);
  return true;
}

SinceBoot monotonic(std::uint64_t nanoseconds) {
  return SinceBoot(static_cast<std::int64_t>(nanoseconds));
}

}  // namespace

std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::kHairpinIpTarget:
      return "hairpin_ip_target";
    case Cause::kHairpinNodePort:
      return "hairpin_node_port";
    case Cause::kHairpinHostTarget:
      return "hairpin_host_target";
    case Cause::kHairpinMartian:
      return "hairpin_martian";
    case Cause::kHairpinRpFilter:
      return "hairpin_rp_filter";
    case Cause::kAsymmetricRemote:
      return "asymmetric_remote";
    case Cause::kUnsolicitedSynAck:
      return "unsolicited_synack";
    case Cause::kNone:
      break;
  }
  return "none";
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kResetByClient:
      return "reset_by_client";
    case Outcome::kDropped:
      return "dropped";
    case Outcome::kCompleted:
      return "completed";
    case Outcome::kUnknown:
      break;
  }
  return "unknown";
}

std::string_view to_string(Conntrack conntrack) {
  switch (conntrack) {
    case Conntrack::kNoEntry:
      return "no_entry";
    case Conntrack::kNotTranslated:
      return "not_translated";
    case Conntrack::kTranslated:
      return "translated";
    case Conntrack::kUnchecked:
      break;
  }
  return "unchecked";
}

std::string_view to_string(ConntrackSource source) {
  switch (source) {
    case ConntrackSource::kKernel:
      return "kernel";
    case ConntrackSource::kNetlink:
      return "netlink";
    case ConntrackSource::kCilium:
      return "cilium";
    case ConntrackSource::kNone:
      break;
  }
  return "none";
}

std::string_view to_string(ResponderKind kind) {
  switch (kind) {
    case ResponderKind::kLocalPod:
      return "local_pod";
    case ResponderKind::kNode:
      return "node";
    case ResponderKind::kRemote:
      return "remote";
    case ResponderKind::kNone:
      break;
  }
  return "none";
}

std::expected<Attempt, std::string> Attempt::from_abi(const hp_attempt& attempt) {
  Attempt result;
  if (!known(attempt.cause, HP_CAUSE_COUNT, result.cause)) {
    return std::unexpected("unknown cause " + std::to_string(attempt.cause));
  }
  if (!known(attempt.outcome, HP_OUTCOME_COUNT, result.outcome)) {
    return std::unexpected("unknown outcome " + std::to_string(attempt.outcome));
  }
  if (!known(attempt.conntrack, HP_CONNTRACK_COUNT, result.conntrack) ||
      !known(attempt.conntrack_source, HP_CONNTRACK_SOURCE_COUNT, result.conntrack_source)) {
    return std::unexpected("unknown conntrack state " + std::to_string(attempt.conntrack) + " from source " +
                           std::to_string(attempt.conntrack_source));
  }
  if (!known(attempt.responder_kind, HP_RESPONDER_COUNT, result.responder_kind)) {
    return std::unexpected("unknown responder kind " + std::to_string(attempt.responder_kind));
  }
  result.client = Endpoint::from_abi({.address = attempt.key.client, .port = attempt.key.port, .pad = 0});
  result.isn = attempt.key.isn;
  result.load_balancer = Endpoint::from_abi(attempt.lb);
  // The flags say what was seen; an endpoint alone could be a leftover of the map's recycled memory.
  if ((attempt.flags & HP_RETURNED) != 0) {
    result.returned = Endpoint::from_abi(attempt.returned);
  }
  if ((attempt.flags & (HP_SYNACK_LEFT | HP_SYNACK_ARRIVED)) != 0) {
    result.synack_sent = Endpoint::from_abi(attempt.synack_sent);
  }
  if ((attempt.flags & HP_SYNACK_DELIVERED) != 0) {
    result.synack_delivered = Endpoint::from_abi(attempt.synack_delivered);
  }
  if ((attempt.flags & (HP_SYNACK_LEFT | HP_SYNACK_ARRIVED | HP_SYNACK_DELIVERED | HP_SYNACK_PASSED)) != 0) {
    result.responder = Endpoint::from_abi(*hp_responder(&attempt));
  }
  result.first_syn = monotonic(attempt.first_ns);
  result.synack = monotonic(attempt.synack_ns);
  result.syn_ifindex = attempt.syn_ifindex;
  result.synack_ifindex = attempt.synack_ifindex;
  result.synack_ack = attempt.synack_ack;
  result.host_client = (attempt.flags & (HP_HOST_CLIENT | HP_UNVERIFIED)) == HP_HOST_CLIENT;
  result.learned = attempt.learned != HP_NAMED;
  result.captured = attempt.captured != 0;
  result.drop_reason = attempt.drop_reason;
  result.syn_dropped = attempt.syn_dropped != 0;
  if (attempt.cilium.reason != 0) {
    result.cilium_drop = CiliumDrop{.source_identity = attempt.cilium.source_identity,
                                    .destination_identity = attempt.cilium.destination_identity,
                                    .endpoint = attempt.cilium.endpoint,
                                    .reason = attempt.cilium.reason};
  }
  return result;
}

std::expected<Event, std::string> decode_event(std::span<const std::byte> record) {
  if (record.size() != sizeof(hp_event)) {
    return std::unexpected("record of " + std::to_string(record.size()) + " bytes, expected " +
                           std::to_string(sizeof(hp_event)));
  }
  // Copied out: ring memory is neither ours nor aligned for us.
  hp_event raw{};
  std::memcpy(&raw, record.data(), sizeof(raw));
  if (raw.kind != HP_EVENT_MISMATCH && raw.kind != HP_EVENT_OUTCOME && raw.kind != HP_EVENT_CONNTRACK &&
      raw.kind != HP_EVENT_LEARNED) {
    return std::unexpected("unknown kind " + std::to_string(raw.kind));
  }
  auto attempt = Attempt::from_abi(raw.attempt);
  if (!attempt) {
    return std::unexpected(attempt.error());
  }
  const char* const symbol = static_cast<const char*>(raw.drop_symbol);
  return Event{.kind = static_cast<EventKind>(raw.kind),
               .time = monotonic(raw.time_ns),
               .attempt = *attempt,
               .drop_symbol = std::string(symbol, strnlen(symbol, sizeof(raw.drop_symbol)))};
}

}  // namespace hairpind
