// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/placement.hpp"

#include <algorithm>

namespace hairpind {
namespace {

std::string name_of(const PodRef& pod) {
  return pod.namespace_name + "/" + pod.name;
}

}  // namespace

void Placement::add(const IncidentCount& incident, const NodeView& node) {
  const Attempt& example = incident.example;
  const auto pod_at = [&](const Endpoint& endpoint) {
    return node.cluster == nullptr ? std::nullopt : node.cluster->pod_at(endpoint, example.first_syn);
  };
  add(record_.clients, example.client,
      {.pod = pod_at(example.client), .ifindex = example.syn_ifindex, .is_node = example.host_client});
  if (incident.key.cause == Cause::kAsymmetricRemote) {
    record_.remote_target = true;
    return;
  }
  record_.by_node_port = record_.by_node_port || incident.key.cause == Cause::kHairpinNodePort;
  const Endpoint& target = example.synack_sent.empty() ? example.returned : example.synack_sent;
  if (target.empty()) {
    return;
  }
  // The client's device says nothing of another pod; of one that is its own target it does.
  const bool own_target = target.address == example.client.address;
  const bool seen_leaving = !example.synack_sent.empty() && example.synack_ifindex != example.syn_ifindex;
  std::uint32_t device = 0;
  if (own_target) {
    device = example.syn_ifindex;
  } else if (seen_leaving && example.responder_kind == ResponderKind::kLocalPod) {
    device = example.synack_ifindex;
  }
  add(record_.targets, target, {.pod = pod_at(target), .ifindex = device, .is_node = false});
}

void Placement::add(Parties& parties, const Endpoint& endpoint, const Party& party) {
  // One more than is followed says that there are more.
  if (!parties.contains(endpoint.address) && parties.size() > kFollowed) {
    return;
  }
  Party& known = parties[endpoint.address];
  // An address may be another pod's by now. A name is kept: who is gone for long has none any more.
  known = {.pod = party.pod ? party.pod : known.pod, .ifindex = party.ifindex, .is_node = party.is_node};
}

void Placement::look(const Endpoint& load_balancer, const NodeView& node) {
  clients_here_ = where(record_.clients, node);
  target_ = look_for_target(load_balancer, node);
}

Presence Placement::where(const Party& party, const NodeView& node) {
  if (party.is_node) {
    return Presence::kHere;
  }
  if (node.cluster != nullptr && party.pod) {
    if (!node.synced) {
      return Presence::kUnknown;
    }
    return node.cluster->has_like(*party.pod) ? Presence::kHere : Presence::kGone;
  }
  if (party.ifindex == 0) {
    return Presence::kUnknown;
  }
  return node.has_device(party.ifindex) ? Presence::kHere : Presence::kGone;
}

Presence Placement::where(const Parties& parties, const NodeView& node) {
  bool all_gone = !parties.empty() && parties.size() <= kFollowed;
  for (const auto& [address, party] : parties) {
    const Presence presence = where(party, node);
    if (presence == Presence::kHere) {
      return Presence::kHere;
    }
    all_gone = all_gone && presence == Presence::kGone;
  }
  return all_gone ? Presence::kGone : Presence::kUnknown;
}

Presence Placement::look_for_target(const Endpoint& load_balancer, const NodeView& node) {
  if (record_.remote_target || (node.cluster != nullptr && !node.synced)) {
    return Presence::kUnknown;
  }
  const Service* const service = node.cluster == nullptr ? nullptr : node.cluster->publisher_at(load_balancer);
  if (service == nullptr) {
    record_.target_names = names(record_.targets);
    return where(record_.targets, node);
  }
  if (record_.by_node_port && service->external_traffic_policy != "Local") {
    record_.target_names = {"the node"};
    return Presence::kHere;
  }
  if (service->selector.empty()) {
    return Presence::kUnknown;
  }
  const std::vector<PodRef> ready = node.cluster->local_backends(*service);
  if (ready.empty()) {
    return node.cluster->has_backend(*service) ? Presence::kUnknown : Presence::kGone;
  }
  record_.target_names.clear();
  std::ranges::transform(ready, std::back_inserter(record_.target_names), name_of);
  return Presence::kHere;
}

std::vector<std::string> Placement::names(const Parties& parties) {
  std::vector<std::string> names;
  for (const auto& [address, party] : parties) {
    names.push_back(party.pod ? name_of(*party.pod) : address.to_string());
  }
  return names;
}

std::vector<std::string> Placement::client_names() const {
  return names(record_.clients);
}

}  // namespace hairpind
