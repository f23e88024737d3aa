// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/core/captured_packet.hpp"
#include "hairpind/core/event.hpp"
#include "hairpind/core/frontend.hpp"
#include "hairpind/core/kubernetes.hpp"
#include "hairpind/core/problem.hpp"

namespace hairpind {

using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;

/// Which Service a load balancer's address belongs to, or which other object has it.
struct LoadBalancerRef {
  std::string namespace_name;
  std::string service;  ///< its name, or that of the other object
  // NOLINTBEGIN(readability-redundant-member-init): g++ warns of designated initializers that leave them out
  std::string hostname{};      ///< empty where the address is published itself
  std::string kind{};          ///< "Gateway", "Ingress"; empty for a Service
  std::string binding{};       ///< the TargetGroupBinding, of this namespace, by which the Service is behind it
  std::string target_group{};  ///< that it names: an ARN, most often
  // NOLINTEND(readability-redundant-member-init)

  auto operator<=>(const LoadBalancerRef&) const = default;

  /// "namespace/name", as Service::full_name().
  [[nodiscard]] std::string full_name() const {
    return (kind.empty() ? "" : kind + " ") + namespace_name + "/" + service;
  }
};

enum class AlertEvent : std::uint8_t {
  kAsymmetricHandshake,
  kAsymmetricHandshakeRepeated,
  kAsymmetricHandshakeEvidence,
  kAsymmetricHandshakeResolved,
  kAsymmetricHandshakeDormant,
  kHairpinExposure,
};
inline constexpr std::array kAllAlertEvents{
    AlertEvent::kAsymmetricHandshake,         AlertEvent::kAsymmetricHandshakeRepeated,
    AlertEvent::kAsymmetricHandshakeEvidence, AlertEvent::kAsymmetricHandshakeResolved,
    AlertEvent::kAsymmetricHandshakeDormant,  AlertEvent::kHairpinExposure};
enum class Severity : std::uint8_t { kInfo, kWarning, kCritical };

std::string_view to_string(AlertEvent event);
std::string_view to_string(Severity severity);

/// Who has left, so that what failed cannot fail now.
struct Departure {
  bool targets = false;          ///< else the clients
  std::vector<std::string> who;  ///< "namespace/name", or an address where no name is known
  WallTime when;                 ///< when it was first known
};

/// The life of a load balancer's problem on this node (core/problem.hpp), as of one moment. A reopened one: as it was
/// before.
struct ProblemReport {
  ProblemState state = ProblemState::kActive;
  WallTime opened;
  WallTime last_mismatch;
  std::uint64_t mismatched = 0;         ///< attempts since it was first opened
  std::uint64_t answered = 0;           ///< likewise
  std::uint64_t reopenings = 0;         ///< before this one
  std::optional<FixProof> proof;        ///< of kFixed
  std::uint64_t same_node_answers = 0;  ///< this and the following: as Problem has them
  std::uint64_t run = 0;
  double share = 0;
  double chance = 1;
  std::optional<Departure> why;  ///< of kDormant
};

/// A packet of an attempt, where one of the sensors saw it.
struct AlertPacket {
  WallTime time;
  Sensor sensor = Sensor::kFromPod;
  std::optional<std::string> interface;  ///< absent where it is not known, or of a pod's own namespace
  std::uint32_t length = 0;              ///< of the packet from its IP header on; this and data: of a hook
  std::vector<std::uint8_t> data;        ///< IP and TCP header, 96 bytes at most
  std::optional<std::string> reason;     ///< of Sensor::kDrop: the kernel's name
  std::string note;                      ///< what a sensor that is no hook tells; else empty
};

/// One line of the alert stream, schema hairpind.alert/v1 (docs/alert-v1.schema.json), ready to be written:
/// names resolved, text composed. Plain data; output/alert_json.hpp turns it into JSON.
struct Alert {
  AlertEvent event = AlertEvent::kAsymmetricHandshake;
  WallTime time;
  std::string node;
  std::string incident;  ///< 16 hex digits, stable for (client address, LB, responder, cause)
  Severity severity = Severity::kCritical;
  Cause cause = Cause::kNone;
  std::uint64_t count = 0;  ///< misdirected attempts since the agent started, exact
  std::string message;
  std::string hint;
  Endpoint client;
  Endpoint load_balancer;
  std::optional<LoadBalancerOrigin> load_balancer_origin;  ///< absent where nobody names it any more
  std::optional<Endpoint> responder;                       ///< as the client sees it; absent where no SYN-ACK exists
  ResponderKind responder_kind = ResponderKind::kNone;
  std::optional<Endpoint> backend;  ///< the pod behind the responder, where it was seen

  std::string node_zone;    ///< of the node, and so of the client; empty where the API does not tell
  std::string provider_id;  ///< likewise
  std::optional<PodRef> client_pod;
  std::optional<PodRef> responder_pod;
  std::optional<PodRef> backend_pod;
  std::optional<LoadBalancerRef> load_balancer_service;
  std::vector<std::string> load_balancer_rivals;  ///< other Services that publish it too: it is ambiguous
  std::optional<std::string> node_port_service;   ///< "namespace/name" of the Service whose node port answered

  std::uint32_t syn_isn = 0;
  std::optional<std::uint32_t> synack_ack;
  bool returned_syn = false;
  std::optional<std::string> syn_interface;
  std::optional<std::string> synack_interface;
  std::optional<std::chrono::microseconds> syn_to_synack;
  Conntrack conntrack = Conntrack::kUnchecked;
  ConntrackSource conntrack_source = ConntrackSource::kNone;

  Outcome outcome = Outcome::kUnknown;
  std::optional<std::string> drop_reason;    ///< e.g. "NETFILTER_DROP", "CILIUM_POLICY_DENIED"
  std::optional<std::string> drop_location;  ///< kernel function
  bool syn_dropped = false;                  ///< the SYN that came back; else an answer
  std::optional<CiliumDrop> cilium_drop;
  std::vector<std::string> cilium_source_labels;  ///< of its identities; empty where not known
  std::vector<std::string> cilium_destination_labels;

  std::optional<ProblemReport> problem;  ///< of kAsymmetricHandshakeResolved, ...Dormant, and one that reopens

  std::vector<AlertPacket> packets;  ///< of kAsymmetricHandshakeEvidence, in their order
};

}  // namespace hairpind
