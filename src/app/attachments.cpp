// SPDX-License-Identifier: Apache-2.0
#include "attachments.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "hairpind/net/packets_received.hpp"

namespace hairpind {
namespace {

// Of a pod of which no handshake has been seen: more than neighbour discovery.
constexpr std::uint64_t kBlindPackets = 100;
constexpr std::uint64_t kManySpoofed = 10;
constexpr std::chrono::minutes kCrowdedInterval{1};

}  // namespace

void Attachments::remove_leftovers(const NetworkView& view) const {
  for (const auto& [ifindex, interface] : view.interfaces) {
    if (const auto removed = table_.remove_leftovers(ifindex); !removed) {
      spdlog::warn("interface {}: {}; what a killed agent left there, if anything, stays", interface.name,
                   removed.error().message);
    }
  }
}

void Attachments::on_network(const NetworkView& view, const InterfaceHints& hints) {
  if (const auto set = table_.set_node_addresses(view.addresses); !set) {
    spdlog::error("{}", set.error().message);
  }
  const std::map<std::uint32_t, Wanted> before = std::exchange(wanted_, {});
  for (const auto& [ifindex, chosen] : select_interfaces(view, selection_, hints)) {
    const NetworkInterface& interface = view.interfaces.at(ifindex);
    const DeviceRole role = chosen.role == InterfaceRole::kPod ? DeviceRole::kPod : DeviceRole::kUplink;
    wanted_.emplace(ifindex,
                    Wanted{.device = {.ifindex = ifindex, .role = role, .master_ifindex = interface.master_ifindex},
                           .name = interface.name,
                           .as = chosen});
  }
  if (complete_) {
    tell_of_changes(before);
  }
  std::vector<std::uint32_t> left;
  for (const auto& [ifindex, device] : table_.attached()) {
    if (!wanted_.contains(ifindex)) {
      left.push_back(ifindex);
    }
  }
  std::ranges::for_each(left, [this](std::uint32_t ifindex) { table_.detach(ifindex); });
  const auto unwanted = [this](std::uint32_t ifindex) { return !wanted_.contains(ifindex); };
  std::erase_if(failed_, unwanted);
  std::erase_if(waiting_, unwanted);
  for (const auto& [ifindex, wanted] : wanted_) {
    const auto attached = table_.attached().find(ifindex);
    const bool as_wanted = attached != table_.attached().end() && attached->second == wanted.device;
    if (!as_wanted && !failed_.contains(ifindex)) {
      waiting_.insert(ifindex);
    }
  }
  complete_ = complete_ || waiting_.empty();
  warn_of_unmatched_globs(view);
}

void Attachments::tell_of_changes(const std::map<std::uint32_t, Wanted>& before) const {
  for (const auto& [ifindex, now] : wanted_) {
    const auto was = before.find(ifindex);
    if (was != before.end() && was->second.as.role != now.as.role) {
      spdlog::info("interface {}: now {}, since {}; before, {}, since {}", now.name, to_string(now.as.role),
                   to_string(now.as.reason), to_string(was->second.as.role), to_string(was->second.as.reason));
    } else if (was == before.end() && now.as.role == InterfaceRole::kUplink) {
      spdlog::info("interface {}: now uplink, since {}", now.name, to_string(now.as.reason));
    }
  }
  for (const auto& [ifindex, was] : before) {
    if (was.as.role == InterfaceRole::kUplink && !wanted_.contains(ifindex)) {
      spdlog::info("interface {}: no uplink any more", was.name);
    }
  }
}

void Attachments::retry() {
  waiting_.insert(failed_.begin(), failed_.end());
  std::string names;
  std::set<std::uint32_t> unknown;
  for (const std::uint32_t ifindex : std::exchange(filters_changed_, {})) {
    if (!table_.attached().contains(ifindex)) {
      continue;
    }
    const auto first = table_.first_in_line(ifindex);
    if (!first) {
      spdlog::error("{}", first.error().message);
      unknown.insert(ifindex);
    } else if (!*first) {
      table_.detach(ifindex);
      waiting_.insert(ifindex);
      names += (names.empty() ? "" : ", ") + wanted_.at(ifindex).name;
    }
  }
  filters_changed_ = std::move(unknown);
  if (!names.empty()) {
    spdlog::info("interfaces {}: somebody removed hairpind's filters, or put theirs first; attaching anew", names);
  }
}

bool Attachments::step() {
  if (!waiting_.empty()) {
    attach(wanted_.at(waiting_.extract(waiting_.begin()).value()));
  }
  complete_ = complete_ || waiting_.empty();
  return waiting();
}

void Attachments::attach(const Wanted& wanted) {
  const auto attached = table_.attach(wanted.device);
  if (attached) {
    if (failed_.erase(wanted.device.ifindex) != 0) {
      spdlog::info("interface {}: attached after all", wanted.name);
    }
    return;
  }
  failures_++;
  if (failed_.insert(wanted.device.ifindex).second) {
    spdlog::warn("interface {}: {}; its pod is not watched, trying again each second", wanted.name,
                 attached.error().message);
  }
}

std::string Attachments::name_of(std::uint32_t ifindex) const {
  const auto wanted = wanted_.find(ifindex);
  return wanted == wanted_.end() ? "ifindex " + std::to_string(ifindex) : wanted->second.name;
}

void Attachments::look_for_blind(const std::function<bool(std::uint32_t ifindex)>& seen) {
  const std::set<std::uint32_t> preceded = table_.preceded();
  std::erase_if(preceded_, [&](const auto& entry) { return !preceded.contains(entry.first); });
  std::string names;
  std::string blind;
  for (const std::uint32_t ifindex : preceded) {
    const std::uint64_t received = packets_received(ifindex).value_or(0);
    const auto [entry, first] = preceded_.try_emplace(ifindex, Preceded{.received = received});
    if (first) {
      names += (names.empty() ? "" : ", ") + name_of(ifindex);
    }
    const bool is_blind = !seen(ifindex) && received >= entry->second.received + kBlindPackets;
    if (is_blind && !entry->second.blind) {
      blind += (blind.empty() ? "" : ", ") + name_of(ifindex);
    }
    entry->second.blind = is_blind;
  }
  if (!names.empty()) {
    spdlog::warn(
        "interfaces {}: others' programs run before hairpind's (TCX before its clsact filters, or at a netkit peer), "
        "and "
        "what they redirect it never sees: leave --attach out, or give --attach tcx",
        names);
  }
  if (!blind.empty()) {
    spdlog::error("interfaces {}: packets come from these pods, and hairpind has seen none of their handshakes", blind);
  }
}

void Attachments::on_spoofed(std::uint64_t spoofed, std::uint32_t ifindex) {
  if (spoofed >= spoofed_ + kManySpoofed && spoofing_told_.insert(ifindex).second) {
    spdlog::warn("interface {}: {} handshake packets with addresses that are not its pod's; they are not believed",
                 name_of(ifindex), spoofed - spoofed_);
  }
  spoofed_ = spoofed;
}

void Attachments::on_crowded(std::uint64_t evicted, std::uint32_t ifindex, SinceBoot now) {
  if (evicted == evicted_ || (evicted_ != 0 && now - crowding_told_ < kCrowdedInterval)) {
    return;
  }
  spdlog::warn(
      "{} connection attempts were given up before they were decided, for want of room; {} has the most of them: its "
      "own "
      "go first, and count in hairpind_events_lost_total{{reason=\"undecided_evicted\"}}. If that is no flood, raise "
      "--pending-syns",
      evicted - evicted_, ifindex == 0 ? "the network" : "interface " + name_of(ifindex));
  evicted_ = evicted;
  crowding_told_ = now;
}

bool Attachments::detach_one() {
  if (!table_.attached().empty()) {
    table_.detach(table_.attached().begin()->first);
  }
  return !table_.attached().empty();
}

void Attachments::warn_of_unmatched_globs(const NetworkView& view) {
  auto unmatched = unmatched_globs(view, selection_);
  for (const std::string& glob : unmatched) {
    if (std::ranges::find(unmatched_globs_, glob) == unmatched_globs_.end()) {
      spdlog::warn("no interface matches '{}' now; waiting for one", glob);
    }
  }
  unmatched_globs_ = std::move(unmatched);
}

std::vector<std::string> Attachments::roles(const NetworkView& view) const {
  std::map<std::uint32_t, SelectedInterface> selected;
  for (const auto& [ifindex, wanted] : wanted_) {
    selected.emplace(ifindex, wanted.as);
  }
  return describe(selected, view);
}

AttachStatus Attachments::status() const {
  const auto& attached = table_.attached();
  const auto pods = static_cast<std::uint64_t>(
      std::ranges::count_if(attached, [](const auto& entry) { return entry.second.role == DeviceRole::kPod; }));
  return {.pods = pods,
          .uplinks = attached.size() - pods,
          .failures = failures_,
          .blind = static_cast<std::uint64_t>(
              std::ranges::count_if(preceded_, [](const auto& entry) { return entry.second.blind; })),
          .complete = complete_,
          .nothing_watched = complete_ && attached.empty() && !failed_.empty()};
}

}  // namespace hairpind
