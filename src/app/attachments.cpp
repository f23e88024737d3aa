// SPDX-License-Identifier: Apache-2.0
#include "attachments.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace hairpind {

void Attachments::remove_leftovers(const NetworkView& view) const {
  for (const auto& [ifindex, interface] : view.interfaces) {
    if (const auto removed = table_.remove_leftovers(ifindex); !removed) {
      spdlog::warn("interface {}: {}; what a killed agent left there, if anything, stays", interface.name,
                   removed.error().message);
    }
  }
}

void Attachments::on_network(const NetworkView& view) {
  if (const auto set = table_.set_node_addresses(view.addresses); !set) {
    spdlog::error("{}", set.error().message);
  }
  wanted_.clear();
  for (const auto& [ifindex, role] : select_interfaces(view, selection_)) {
    const NetworkInterface& interface = view.interfaces.at(ifindex);
    wanted_.emplace(ifindex,
                    Wanted{.device = {.ifindex = ifindex,
                                      .role = role == InterfaceRole::kPod ? DeviceRole::kPod : DeviceRole::kUplink,
                                      .master_ifindex = interface.master_ifindex},
                           .name = interface.name});
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

AttachStatus Attachments::status() const {
  const auto& attached = table_.attached();
  const auto pods = static_cast<std::uint64_t>(
      std::ranges::count_if(attached, [](const auto& entry) { return entry.second.role == DeviceRole::kPod; }));
  return {.pods = pods,
          .uplinks = attached.size() - pods,
          .failures = failures_,
          .complete = complete_,
          .nothing_watched = complete_ && attached.empty() && !failed_.empty()};
}

}  // namespace hairpind
