// SPDX-License-Identifier: Apache-2.0
#include "watch_list.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

namespace hairpind {
namespace {

// A page full of load balancers that nobody here uses is too dear.
constexpr std::size_t kListed = 256;

}  // namespace

WatchList::WatchList(FrontendTable& table, const std::vector<LoadBalancerSpec>& configured)
    : table_(table), specs_(configured) {
  for (const LoadBalancerSpec& spec : specs_) {
    if (const auto* const host = std::get_if<HostName>(&spec)) {
      hosts_.insert(host->name);
    }
  }
  from_configuration_ = this->configured();
  change(kConfigured, {from_configuration_.begin(), from_configuration_.end()}, {});
}

std::set<Frontend> WatchList::configured() const {
  std::set<Frontend> frontends;
  for (const LoadBalancerSpec& spec : specs_) {
    if (const auto* const frontend = std::get_if<Frontend>(&spec)) {
      frontends.insert(*frontend);
    } else if (const auto& host = std::get<HostName>(spec); resolved_.contains(host.name)) {
      for (const IpAddress& address : resolved_.at(host.name)) {
        frontends.insert(Frontend{.address = address, .port = host.port});
      }
    }
  }
  return frontends;
}

void WatchList::on_resolution(const Resolution& resolution) {
  if (!hosts_.contains(resolution.name)) {
    return;
  }
  resolved_[resolution.name] = resolution.addresses;
  const std::set<Frontend> before = std::exchange(from_configuration_, configured());
  std::vector<Frontend> added;
  std::vector<Frontend> removed;
  std::ranges::set_difference(from_configuration_, before, std::back_inserter(added));
  std::ranges::set_difference(before, from_configuration_, std::back_inserter(removed));
  change(kConfigured, added, removed);
}

void WatchList::on_cluster(const WatchChanges& changes) {
  change(kKubernetes, changes.added, changes.removed);
}

void WatchList::on_learned(const LearnedChanges& changes) {
  change(kLearned, changes.added, changes.removed);
}

void WatchList::change(Origin origin, const std::vector<Frontend>& added, const std::vector<Frontend>& removed) {
  std::vector<Frontend> come;
  std::vector<Frontend> gone;
  for (const Frontend& frontend : removed) {
    const auto found = wanted_.find(frontend);
    if (found == wanted_.end()) {
      continue;
    }
    found->second &= ~unsigned{origin};
    if (found->second == 0) {
      wanted_.erase(found);
      refused_.erase(frontend);
      gone.push_back(frontend);
    }
  }
  for (const Frontend& frontend : added) {
    unsigned& origins = wanted_[frontend];
    if (origins == 0) {
      come.push_back(frontend);
    }
    origins |= origin;
  }
  write(std::move(come), gone);
}

void WatchList::retry() {
  if (!refused_.empty()) {
    write({}, {});
  }
}

void WatchList::write(std::vector<Frontend> added, const std::vector<Frontend>& removed) {
  // Those that wait come first.
  added.insert(added.begin(), refused_.begin(), refused_.end());
  FrontendTable::Refused refused = table_.change(added, removed);
  if (!refused.frontends.empty()) {
    give_way(refused);
  }
  const bool before = !refused_.empty();
  refused_ = {refused.frontends.begin(), refused.frontends.end()};
  if (!refused_.empty() && !before) {
    spdlog::error(
        "{}; {} load balancers of {} are not watched (hairpind_load_balancers_unwatched), trying again each second",
        refused.why, refused_.size(), wanted_.size());
  } else if (refused_.empty() && before) {
    spdlog::info("all {} load balancers are watched now", wanted_.size());
  }
}

void WatchList::give_way(FrontendTable::Refused& refused) {
  // Nor is waited for.
  std::erase_if(refused.frontends, [this](const Frontend& frontend) {
    const auto found = wanted_.find(frontend);
    const bool unnamed = found->second == kLearned;
    if (unnamed) {
      wanted_.erase(found);
    }
    return unnamed;
  });
  if (refused.frontends.empty()) {
    return;
  }
  std::vector<Frontend> learned;
  for (const auto& [frontend, origins] : wanted_) {
    if (origins == kLearned) {
      learned.push_back(frontend);
    }
  }
  if (learned.empty()) {
    return;
  }
  std::ranges::for_each(learned, [this](const Frontend& frontend) { wanted_.erase(frontend); });
  spdlog::warn("{} load balancers that nobody names are not watched any more: the kernel's table is full",
               learned.size());
  const std::vector<Frontend> named = std::exchange(refused.frontends, {});
  refused = table_.change(named, learned);
}

std::optional<LoadBalancerOrigin> WatchList::origin_of(const Endpoint& load_balancer) const {
  unsigned origins = 0;
  for (const std::uint16_t port : {load_balancer.port, std::uint16_t{0}}) {
    const auto found = wanted_.find({.address = load_balancer.address, .port = port});
    origins |= found == wanted_.end() ? 0U : found->second;
  }
  if ((origins & kKubernetes) != 0) {
    return LoadBalancerOrigin::kService;
  }
  const auto covers = [&](const Frontend& each) { return each.is_prefix() && each.covers(load_balancer.address); };
  if ((origins & kConfigured) != 0 || std::ranges::any_of(from_configuration_, covers)) {
    return LoadBalancerOrigin::kConfigured;
  }
  return (origins & kLearned) != 0 ? std::optional(LoadBalancerOrigin::kLearned) : std::nullopt;
}

WatchStatus WatchList::status() const {
  WatchStatus status;
  const auto named_by = [this](Origin origin) {
    return static_cast<std::uint64_t>(
        std::ranges::count_if(wanted_, [&](const auto& entry) { return (entry.second & origin) != 0; }));
  };
  for (const auto& [origin, named] :
       {std::pair{kConfigured, LoadBalancerOrigin::kConfigured}, std::pair{kKubernetes, LoadBalancerOrigin::kService},
        std::pair{kLearned, LoadBalancerOrigin::kLearned}}) {
    status.by_origin[std::string(to_string(named))] = named_by(origin);
  }
  status.watched = table_.watched().size();
  status.unwatched = refused_.size();
  status.listed = listed();
  return status;
}

std::vector<Endpoint> WatchList::listed() const {
  std::vector<Endpoint> listed;
  if (table_.watched().size() <= kListed) {
    for (const Frontend& frontend : table_.watched()) {
      if (!frontend.is_prefix() && frontend.port != 0) {
        listed.push_back({.address = frontend.address, .port = frontend.port});
      }
    }
  }
  return listed;
}

}  // namespace hairpind
