// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/cluster.hpp"

#include <algorithm>
#include <ranges>
#include <string_view>
#include <tuple>
#include <utility>

namespace hairpind {
namespace {

// Of those who ask there are far fewer: load balancers with failures.
constexpr std::size_t kMostFound = 512;

template <typename Map, typename Key, typename Value>
void erase_from(Map& map, const Key& key, const Value& value) {
  if (const auto found = map.find(key); found != map.end()) {
    found->second.erase(value);
    if (found->second.empty()) {
      map.erase(found);
    }
  }
}

std::vector<Endpoint> tcp_endpoints(const Service& service, const IpAddress& address) {
  std::vector<Endpoint> endpoints;
  for (const ServicePort& port : service.ports) {
    if (port.protocol == "TCP") {
      endpoints.push_back({.address = address, .port = port.port});
    }
  }
  return endpoints;
}

bool is_indexed_alike(const Service& a, const Service& b) {
  return a.created == b.created && a.ports == b.ports && a.ingress == b.ingress;
}

}  // namespace

bool Cluster::Claim::older_than(const Claim& other) const {
  const auto age = [](const Claim& claim) {
    return std::tuple(!claim.service->kind.empty(), claim.service->created,
                      std::tie(claim.service->namespace_name, claim.service->name),
                      claim.hostname == nullptr ? std::string_view() : *claim.hostname);
  };
  return age(*this) < age(other);
}

void Cluster::apply(const ClusterChanges& changes, SinceBoot now) {
  for (const PodRef& ref : changes.removed_pods) {
    remove_pod(ref, now);
  }
  for (const Pod& pod : changes.pods) {
    upsert_pod(pod, now);
  }
  forget_gone(now);
  for (const std::string& name : changes.removed_services) {
    if (const auto found = services_.find(name); found != services_.end()) {
      unindex(found->second);
      services_.erase(found);
      service_changed_.erase(name);
    }
  }
  for (const Service& service : changes.services) {
    const auto [position, is_new] = services_.try_emplace(service.full_name());
    // Most changes are of annotations: nothing that is found by them.
    const bool reindex = is_new || !is_indexed_alike(position->second, service);
    if (is_new || position->second != service) {
      service_changed_[position->first] = now;
    }
    if (!is_new && reindex) {
      unindex(position->second);
    }
    position->second = service;
    if (reindex) {
      index(position->second);
    }
  }
  // Not as each Service goes: one that changes is taken out and put back.
  for (const std::string& hostname : touched_hostnames_) {
    if (!hostname_services_.contains(hostname)) {
      resolutions_.erase(hostname);
    }
  }
  if (changes.node) {
    node_ = *changes.node;
  }
}

void Cluster::upsert_pod(const Pod& pod, SinceBoot now) {
  const PodKey key{pod.ref.namespace_name, pod.ref.name};
  const auto known = pods_.find(key);
  // A pod of the same name may be another one: a StatefulSet's, restarted.
  const bool same = known != pods_.end() && known->second.uid == pod.uid;
  if (known != pods_.end() && !same) {
    remove_pod(pod.ref, now);
  }
  const std::vector<IpAddress> before = same ? known->second.addresses : std::vector<IpAddress>();
  // A finished pod's address is free; one on the host network has none of its own.
  const bool holds = !pod.finished && !pod.host_network;
  for (const IpAddress& address : before) {
    if (!holds || std::ranges::find(pod.addresses, address) == pod.addresses.end()) {
      leave(address, pod.ref, now);
    }
  }
  for (const IpAddress& address : pod.addresses) {
    auto& tenancies = tenancies_[address];
    const bool listed = std::ranges::any_of(
        tenancies, [&](const Tenancy& tenancy) { return tenancy.pod == pod.ref && !tenancy.until; });
    if (holds && !listed) {
      tenancies.push_back({.pod = pod.ref, .since = now, .until = std::nullopt});
    }
    if (tenancies.empty()) {
      tenancies_.erase(address);
    }
  }
  if (same) {
    change_claims(known->second, false);
  }
  pods_.insert_or_assign(key, pod);
  change_claims(pod, true);
}

void Cluster::change_claims(const Pod& pod, bool add) {
  const PodKey key{pod.ref.namespace_name, pod.ref.name};
  for (const IpAddress& address : pod.claimed) {
    if (!add) {
      erase_from(claims_, address, key);
    } else if (!pod.finished && !pod.host_network) {
      claims_[address].insert(key);
    }
  }
}

// Whoever has an address by the API server's own word has it, and no load balancer is a pod's; of two who only say so,
// neither.
std::optional<PodRef> Cluster::claimant_of(const IpAddress& address) const {
  const auto claimed = claims_.find(address);
  if (claimed == claims_.end() || claimed->second.size() != 1 || node_.addresses.contains(address) ||
      tenancies_.contains(address) || is_load_balancer(address)) {
    return std::nullopt;
  }
  return pods_.at(*claimed->second.begin()).ref;
}

bool Cluster::is_load_balancer(const IpAddress& address) const {
  const auto first = load_balancers_.lower_bound({.address = address, .port = 0});
  return first != load_balancers_.end() && first->first.address == address;
}

void Cluster::remove_pod(const PodRef& ref, SinceBoot now) {
  const auto known = pods_.find({ref.namespace_name, ref.name});
  if (known == pods_.end()) {
    return;
  }
  for (const IpAddress& address : known->second.addresses) {
    leave(address, known->second.ref, now);
  }
  change_claims(known->second, false);
  pods_.erase(known);
}

void Cluster::leave(const IpAddress& address, const PodRef& ref, SinceBoot now) {
  if (const auto found = tenancies_.find(address); found != tenancies_.end()) {
    for (Tenancy& tenancy : found->second) {
      if (tenancy.pod == ref && !tenancy.until) {
        tenancy.until = now;
      }
    }
  }
}

void Cluster::forget_gone(SinceBoot now) {
  for (auto entry = tenancies_.begin(); entry != tenancies_.end();) {
    std::erase_if(entry->second,
                  [&](const Tenancy& tenancy) { return tenancy.until && now - *tenancy.until > kGrace; });
    entry = entry->second.empty() ? tenancies_.erase(entry) : std::next(entry);
  }
}

std::optional<PodRef> Cluster::pod_at(const Endpoint& endpoint, SinceBoot time) const {
  if (node_.addresses.contains(endpoint.address)) {
    for (const auto& [key, pod] : pods_) {
      if (pod.host_network && !pod.finished && std::ranges::find(pod.tcp_ports, endpoint.port) != pod.tcp_ports.end()) {
        return pod.ref;
      }
    }
    return std::nullopt;
  }
  const auto found = tenancies_.find(endpoint.address);
  if (found == tenancies_.end()) {
    const auto further = further_.find(endpoint.address);
    return further != further_.end() && tenancies_.contains(further->second)
               ? pod_at({.address = further->second, .port = 0}, time)
               : claimant_of(endpoint.address);
  }
  // The newest that was there already, unless it had been gone for long; a SYN may come before the API server has
  // told of its pod.
  for (const Tenancy& tenancy : found->second | std::views::reverse) {
    if (tenancy.since <= time) {
      return tenancy.until && time > *tenancy.until + kGrace ? std::nullopt : std::optional(tenancy.pod);
    }
  }
  return found->second.front().pod;
}

std::set<IpAddress> Cluster::pod_addresses() const {
  std::set<IpAddress> addresses;
  for (const auto& [address, tenancies] : tenancies_) {
    if (std::ranges::any_of(tenancies, [](const Tenancy& tenancy) { return !tenancy.until; })) {
      addresses.insert(address);
    }
  }
  for (const auto& [address, claimants] : claims_) {
    if (claimant_of(address)) {
      addresses.insert(address);
    }
  }
  return addresses;
}

std::set<IpAddress> Cluster::addresses_of(const std::string& hostname) const {
  const auto found = resolutions_.find(hostname);
  return found == resolutions_.end() ? std::set<IpAddress>() : found->second;
}

void Cluster::index(const Service& service) {
  for (const ServicePort& port : service.ports) {
    if (port.node_port != 0) {
      node_ports_[port.node_port].insert(service.full_name());
    }
  }
  for (const ServiceIngress& ingress : service.ingress) {
    if (const auto address = IpAddress::parse(ingress.ip)) {
      add_frontends({.service = &service, .hostname = nullptr}, *address);
    }
    if (!ingress.hostname.empty()) {
      const auto published = hostname_services_.try_emplace(ingress.hostname).first;
      published->second.insert(service.full_name());
      touched_hostnames_.insert(ingress.hostname);
      for (const IpAddress& address : addresses_of(ingress.hostname)) {
        add_frontends({.service = &service, .hostname = &published->first}, address);
      }
    }
  }
}

void Cluster::unindex(const Service& service) {
  for (const ServicePort& port : service.ports) {
    erase_from(node_ports_, port.node_port, service.full_name());
  }
  for (const ServiceIngress& ingress : service.ingress) {
    if (const auto address = IpAddress::parse(ingress.ip)) {
      remove_frontends({.service = &service, .hostname = nullptr}, *address);
    }
    if (const auto published = hostname_services_.find(ingress.hostname); published != hostname_services_.end()) {
      for (const IpAddress& address : addresses_of(ingress.hostname)) {
        remove_frontends({.service = &service, .hostname = &published->first}, address);
      }
      touched_hostnames_.insert(ingress.hostname);
      erase_from(hostname_services_, ingress.hostname, service.full_name());
    }
  }
}

void Cluster::add_frontends(const Claim& claim, const IpAddress& address) {
  for (const Endpoint& endpoint : tcp_endpoints(*claim.service, address)) {
    std::vector<Claim>& claims = load_balancers_[endpoint];
    if (std::ranges::find(claims, claim) == claims.end()) {
      claims.insert(
          std::ranges::upper_bound(claims, claim, [](const Claim& a, const Claim& b) { return a.older_than(b); }),
          claim);
    }
    touched_.insert(endpoint);
  }
}

void Cluster::remove_frontends(const Claim& claim, const IpAddress& address) {
  for (const Endpoint& endpoint : tcp_endpoints(*claim.service, address)) {
    if (const auto found = load_balancers_.find(endpoint); found != load_balancers_.end()) {
      std::erase(found->second, claim);
      if (found->second.empty()) {
        load_balancers_.erase(found);
      }
    }
    touched_.insert(endpoint);
  }
}

WatchChanges Cluster::take_watch_changes() {
  WatchChanges changes;
  for (const Endpoint& endpoint : std::exchange(touched_, {})) {
    auto& where = load_balancers_.contains(endpoint) ? changes.added : changes.removed;
    where.push_back({.address = endpoint.address, .port = endpoint.port});
  }
  for (const std::string& hostname : std::exchange(touched_hostnames_, {})) {
    (hostname_services_.contains(hostname) ? changes.new_hostnames : changes.old_hostnames).insert(hostname);
  }
  return changes;
}

void Cluster::set_resolution(const std::string& hostname, const std::set<IpAddress>& addresses) {
  const auto published = hostname_services_.find(hostname);
  if (published == hostname_services_.end()) {
    return;
  }
  const std::set<IpAddress> before = std::exchange(resolutions_[hostname], addresses);
  for (const std::string& name : published->second) {
    const Claim claim{.service = &services_.at(name), .hostname = &published->first};
    for (const IpAddress& address : before) {
      if (!addresses.contains(address)) {
        remove_frontends(claim, address);
      }
    }
    for (const IpAddress& address : addresses) {
      add_frontends(claim, address);
    }
  }
}

void Cluster::set_found(const Endpoint& load_balancer, const std::optional<LoadBalancerRef>& ref) {
  if (!ref) {
    found_.erase(load_balancer);
  } else if (found_.size() < kMostFound || found_.contains(load_balancer)) {
    found_.insert_or_assign(load_balancer, *ref);
  }
}

const Pod* Cluster::pod(const PodRef& ref) const {
  const auto found = pods_.find({ref.namespace_name, ref.name});
  return found == pods_.end() ? nullptr : &found->second;
}

std::optional<LoadBalancerRef> Cluster::load_balancer_at(const Endpoint& endpoint) const {
  const auto published = load_balancers_.find(endpoint);
  if (published == load_balancers_.end()) {
    const auto found = found_.find(endpoint);
    return found == found_.end() ? std::nullopt : std::optional(found->second);
  }
  const Claim& oldest = published->second.front();
  return LoadBalancerRef{.namespace_name = oldest.service->namespace_name,
                         .service = oldest.service->name,
                         .hostname = oldest.hostname == nullptr ? "" : *oldest.hostname,
                         .kind = std::string(oldest.service->kind)};
}

const Service* Cluster::publisher_at(const Endpoint& endpoint) const {
  const auto found = load_balancers_.find(endpoint);
  return found == load_balancers_.end() || !found->second.front().service->kind.empty() ? nullptr
                                                                                        : found->second.front().service;
}

std::vector<std::string> Cluster::rivals_at(const Endpoint& endpoint) const {
  std::vector<std::string> rivals;
  const auto found = load_balancers_.find(endpoint);
  if (found == load_balancers_.end()) {
    return rivals;
  }
  for (const Claim& claim : found->second) {
    std::string name = claim.service->full_name();
    if (claim.service != found->second.front().service && claim.service->kind.empty() &&
        std::ranges::find(rivals, name) == rivals.end()) {
      rivals.push_back(std::move(name));
    }
  }
  return rivals;
}

const Service* Cluster::service_with_node_port(std::uint16_t node_port) const {
  const auto found = node_ports_.find(node_port);
  return found == node_ports_.end() ? nullptr : service(*found->second.begin());
}

const Service* Cluster::service(const std::string& full_name) const {
  const auto found = services_.find(full_name);
  return found == services_.end() ? nullptr : &found->second;
}

std::optional<SinceBoot> Cluster::service_changed(const std::string& full_name) const {
  const auto found = service_changed_.find(full_name);
  return found == service_changed_.end() ? std::nullopt : std::optional(found->second);
}

std::set<Frontend> Cluster::frontends() const {
  std::set<Frontend> frontends;
  for (const auto& [endpoint, refs] : load_balancers_) {
    frontends.insert(frontends.end(), Frontend{.address = endpoint.address, .port = endpoint.port});
  }
  return frontends;
}

std::vector<PodRef> Cluster::local_backends(const Service& service) const {
  std::vector<PodRef> backends;
  for (const auto& [key, pod] : pods_) {
    if (pod.ready && !pod.finished && service.selects(pod)) {
      backends.push_back(pod.ref);
    }
  }
  return backends;
}

bool Cluster::has_backend(const Service& service) const {
  return std::ranges::any_of(
      pods_, [&](const auto& entry) { return !entry.second.finished && service.selects(entry.second); });
}

bool Cluster::has_like(const PodRef& pod) const {
  return std::ranges::any_of(pods_, [&](const auto& entry) {
    const PodRef& ref = entry.second.ref;
    return !entry.second.finished && ref.namespace_name == pod.namespace_name &&
           (pod.workload.empty() ? ref.name == pod.name : ref.workload == pod.workload);
  });
}

}  // namespace hairpind
