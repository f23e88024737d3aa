// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/ladder.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "segment.hpp"
#include "words.hpp"

namespace hairpind {
namespace {

constexpr const char* kNoSynBack = "the load balancer sends it on with its own address as source";
constexpr const char* kNoAnswerPast = "the target answers the load balancer, and that answers the client";
constexpr const char* kNoReset = "the client's ACK, and the connection stands";
constexpr const char* kNoDrop = "the packet is delivered, since it belongs to a connection";

/// The participants of an incident by their columns.
struct Columns {
  std::vector<Participant> all;
  std::size_t middle = 1;     ///< who answered, or was to
  std::size_t responder = 1;  ///< as the client saw it
  std::size_t balancer = 2;

  // An address that nobody here has is the node's: it translated.
  [[nodiscard]] std::size_t of(const Endpoint& endpoint) const {
    const std::string full = endpoint.to_string();
    const std::string address = endpoint.address.to_string();
    for (std::size_t i = 0; i < all.size(); i++) {
      if (all[i].address == full) {
        return i;
      }
    }
    for (std::size_t i = 0; i < all.size(); i++) {
      if (!all[i].address.empty() && (all[i].address == address || all[i].address.starts_with(address + ":") ||
                                      all[i].address.starts_with("[" + address + "]:"))) {
        return i;
      }
    }
    return responder;
  }
};

std::string role_of(const ToldPeer& responder) {
  if (responder.kind == "node") {
    return "this node";
  }
  return responder.kind == "remote" ? "target elsewhere" : "target";
}

Columns columns_of(const ToldAlert& alert) {
  Columns columns;
  columns.all.push_back({.role = "client", .name = alert.client.pod, .address = alert.client.address()});
  const auto add = [&](std::string role, const ToldPeer& peer) {
    columns.all.push_back({.role = std::move(role), .name = peer.pod, .address = peer.address()});
  };
  const bool two = alert.backend && alert.responder && alert.backend->address() != alert.responder->address();
  if (two) {
    add("target", *alert.backend);
  }
  if (alert.responder) {
    add(role_of(*alert.responder), *alert.responder);
  } else if (alert.backend) {
    add("target", *alert.backend);
  } else {
    columns.all.push_back({.role = "this node", .name = alert.node, .address = {}});
  }
  columns.responder = columns.all.size() - 1;
  columns.balancer = columns.all.size();
  columns.all.push_back(
      {.role = "load balancer",
       .name = alert.load_balancer.service.empty() ? alert.load_balancer.hostname : alert.load_balancer.service,
       .address = alert.load_balancer.at.address()});
  return columns;
}

std::string place_of(const ToldPacket& packet) {
  return packet.interface.empty() ? packet.hook : packet.hook + " at " + packet.interface;
}

bool is(const Endpoint& endpoint, const ToldPeer& peer) {
  return endpoint.address.to_string() == peer.ip && (!peer.port || endpoint.port == *peer.port);
}

/// A packet that went out to the load balancer, or came back in from it, or passes a target's device.
std::string direction(const std::string& hook) {
  if (hook == "from_pod") {
    return "leaves the pod";
  }
  if (hook == "to_pod") {
    return "is delivered to the pod";
  }
  if (hook == "from_net") {
    return "comes in from the network";
  }
  return hook == "to_net" ? "leaves the node" : "is seen";
}

void explain_syn(Step& step, const ToldAlert& alert, const Segment& segment, const std::string& hook) {
  const bool own_source = segment.source.address.to_string() == alert.client.ip;
  if (is(segment.destination, alert.load_balancer.at)) {
    step.meaning = "SYN to the load balancer " + direction(hook);
    step.meaning += own_source ? "" : ", under the address " + segment.source.to_string();
    return;
  }
  step.meaning = "the load balancer's SYN to " + segment.destination.to_string() + " " + direction(hook);
  if (own_source) {
    step.meaning += ", with the client's address as source";
    step.instead = kNoSynBack;
  } else {
    step.meaning += ", from " + segment.source.to_string();
    // The node's own address is a client's that the node hides: kept all the same.
    // The load balancer calls from any port.
    step.instead = segment.source.address.to_string() == alert.load_balancer.at.ip ? "" : kNoSynBack;
  }
}

void explain_segment(Step& step, const ToldAlert& alert, const Segment& segment, const std::string& hook) {
  if (segment.syn && !segment.has_ack) {
    explain_syn(step, alert, segment, hook);
  } else if (segment.syn) {
    const bool right = is(segment.source, alert.load_balancer.at);
    step.meaning = (right ? "the load balancer's answer " : "the answer of " + segment.source.to_string() + " ") +
                   direction(hook) + (right ? "" : ", past the load balancer");
    step.instead = right ? "" : kNoAnswerPast;
  } else if (segment.rst) {
    step.meaning = "RST " + direction(hook) + ": it knows no such connection";
    step.instead = kNoReset;
  } else {
    step.meaning = segment.flags() + " " + direction(hook);
  }
}

std::string label_of(const Segment& segment) {
  std::string label = segment.flags();
  if (segment.syn && !segment.has_ack) {
    return label + " seq=" + std::to_string(segment.seq);
  }
  if (segment.has_ack && !segment.rst) {
    return label + " ack=" + std::to_string(segment.ack);
  }
  return label;
}

// Arrows must show where a packet was going, though both its addresses may be the client's: from the network it comes
// from the load balancer.
void place(Step& step, const Columns& columns, const ToldAlert& alert, const Segment& segment) {
  const bool from_balancer = segment.syn && !segment.has_ack && !is(segment.destination, alert.load_balancer.at);
  step.from = from_balancer ? columns.balancer : columns.of(segment.source);
  step.to = columns.of(segment.destination);
  if (segment.syn && !from_balancer && !segment.has_ack) {
    step.from = 0;
  }
}

std::string words_of_hook(const std::string& hook) {
  if (hook == "tcp_send_reset") {
    return "the stack answers with RST: it knows no such connection";
  }
  return hook == "kfree_skb" ? "the kernel drops the packet" : "seen at " + hook;
}

Step step_of(const ToldPacket& packet, const Columns& columns, const ToldAlert& alert) {
  Step step{.time = packet.time,
            .offset = {},
            .from = 0,
            .to = 0,
            .label = {},
            .where = place_of(packet),
            .meaning = {},
            .instead = {},
            .new_attempt = false};
  if (const auto segment = parse_segment(packet.data)) {
    step.label = label_of(*segment);
    place(step, columns, alert, *segment);
    explain_segment(step, alert, *segment, packet.hook);
    step.meaning += packet.note.empty() ? "" : "; " + packet.note;
    return step;
  }
  step.label = packet.hook;
  step.meaning = packet.note.empty() ? words_of_hook(packet.hook) : packet.note;
  step.meaning += packet.length > 0 && packet.data.empty() ? " (its bytes are missing)" : "";
  if (packet.hook == "tcp_send_reset") {
    step.label = "RST";
    step.instead = kNoReset;
  } else if (packet.hook == "kfree_skb") {
    step.label = "drop";
    step.instead = kNoDrop;
  }
  return step;
}

void add_packets(Ladder& ladder, const Columns& columns, const ToldIncident& incident) {
  std::optional<WallTime> begun;
  std::set<std::uint32_t> numbers;  // ISNs of attempts
  std::set<std::tuple<std::string, std::size_t, std::size_t, std::string>> seen;
  for (const ToldPacket& packet : incident.packets) {
    Step step = step_of(packet, columns, incident.alert);
    const auto segment = parse_segment(packet.data);
    if (segment && segment->syn && !segment->has_ack && numbers.insert(segment->seq).second) {
      step.new_attempt = numbers.size() > 1;
      begun = packet.time;
    }
    begun = begun ? begun : packet.time;
    if (packet.time) {
      step.offset = *packet.time - *begun;
    }
    if (segment && !seen.emplace(step.where, step.from, step.to, step.label).second) {
      step.meaning = "again: " + step.meaning;
    }
    ladder.steps.push_back(std::move(step));
  }
}

Step told(std::size_t from, std::size_t to, std::string label, std::string where, std::string meaning,
          std::string instead) {
  return {.time = {},
          .offset = {},
          .from = from,
          .to = to,
          .label = std::move(label),
          .where = std::move(where),
          .meaning = std::move(meaning),
          .instead = std::move(instead),
          .new_attempt = false};
}

void add_outcome(Ladder& ladder, const Columns& columns, const ToldAlert& alert) {
  const std::string drop = alert.drop_reason + (alert.drop_location.empty() ? "" : " in " + alert.drop_location);
  if (alert.outcome == "reset_by_client") {
    ladder.steps.push_back(
        told(0, columns.responder, "RST", "", "the client's side knows no such connection", kNoReset));
  } else if (alert.outcome == "dropped") {
    const std::size_t at = alert.responder ? 0 : columns.responder;
    ladder.steps.push_back(
        told(at, at, "drop", "", "the kernel drops it" + (drop.empty() ? "" : ": " + drop), kNoDrop));
  } else if (alert.outcome == "completed") {
    ladder.steps.push_back(told(0, 0, "completed", "", "a later SYN of the same attempt got through", ""));
  } else {
    ladder.steps.push_back(told(0, 0, "end unknown", "", "what became of it was not seen", kNoReset));
  }
}

/// What the alert's own evidence tells: no times, but the one between SYN and answer.
void add_evidence(Ladder& ladder, const Columns& columns, const ToldAlert& alert) {
  if (!alert.evidence) {
    return;
  }
  const ToldEvidence& evidence = *alert.evidence;
  const bool solicited = alert.cause != "unsolicited_synack";
  const std::string isn = evidence.syn_isn ? " seq=" + std::to_string(*evidence.syn_isn) : "";
  const auto at = [](const std::string& device) { return device.empty() ? std::string() : "at " + device; };
  if (solicited) {
    ladder.steps.push_back(told(0, columns.balancer, "SYN" + isn, at(evidence.syn_interface),
                                "SYN to the load balancer leaves the client", ""));
    ladder.steps.back().offset = std::chrono::nanoseconds(0);
  }
  if (evidence.returned_syn || !solicited) {
    ladder.steps.push_back(
        told(columns.balancer, columns.middle, "SYN" + (solicited ? isn : ""), "",
             "the load balancer's SYN comes in from the network, with the client's address as source", kNoSynBack));
  }
  if (evidence.synack_ack) {
    ladder.steps.push_back(told(columns.middle, 0, "SYN-ACK ack=" + std::to_string(*evidence.synack_ack),
                                at(evidence.synack_interface), "the answer goes to the client, past the load balancer",
                                kNoAnswerPast));
    if (evidence.syn_to_synack_us) {
      // Whatever a line says: microseconds of a day are enough.
      constexpr std::uint64_t kMost = 86'400'000'000;
      ladder.steps.back().offset = std::chrono::microseconds(std::min(*evidence.syn_to_synack_us, kMost));
    }
  }
  add_outcome(ladder, columns, alert);
}

void add_expected(Ladder& ladder, const Columns& columns) {
  const std::size_t target = columns.middle;
  const std::size_t balancer = columns.balancer;
  ladder.expected = {
      told(0, balancer, "SYN", "", "the client calls the load balancer", ""),
      told(balancer, target, "SYN", "", "sent on with the load balancer's own address as source", ""),
      told(target, balancer, "SYN-ACK", "", "so the target answers the load balancer", ""),
      told(balancer, 0, "SYN-ACK", "", "and the client hears whom it called", ""),
      told(0, balancer, "ACK", "", "the connection stands", ""),
  };
}

}  // namespace

Ladder ladder_of(const ToldIncident& incident) {
  const Columns columns = columns_of(incident.alert);
  Ladder ladder{
      .participants = columns.all,
      .steps = {},
      .expected = {},
      .captured = std::ranges::any_of(incident.packets, [](const ToldPacket& packet) { return !packet.data.empty(); })};
  if (ladder.captured) {
    add_packets(ladder, columns, incident);
  } else {
    add_evidence(ladder, columns, incident.alert);
  }
  add_expected(ladder, columns);
  return ladder;
}

std::string meaning_of(const ToldIncident& incident, const ToldPacket& packet) {
  return step_of(packet, columns_of(incident.alert), incident.alert).meaning;
}

}  // namespace hairpind
