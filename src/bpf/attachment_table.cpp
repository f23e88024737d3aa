// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/attachment_table.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace hairpind {
namespace {

// answers_may_change: devices a call, and how long one counts as new.
constexpr std::size_t kAskedAbout = 64;
constexpr std::chrono::seconds kNewDevice{2};

struct HookPlace {
  Hook hook;
  TcDirection direction;
};

// From the pod's or the network's side, "from" is what the device receives.
constexpr std::array<HookPlace, 2> hooks_of(DeviceRole role) {
  if (role == DeviceRole::kPod) {
    return {{{Hook::kFromPod, TcDirection::kIngress}, {Hook::kToPod, TcDirection::kEgress}}};
  }
  return {{{Hook::kFromNet, TcDirection::kIngress}, {Hook::kToNet, TcDirection::kEgress}}};
}

}  // namespace

std::string_view to_string(Hook hook) {
  switch (hook) {
    case Hook::kFromPod:
      return "from_pod";
    case Hook::kToPod:
      return "to_pod";
    case Hook::kFromNet:
      return "from_net";
    case Hook::kToNet:
      break;
  }
  return "to_net";
}

Result<bool> AttachmentTable::attach(const Device& device) {
  const auto known = devices_.find(device.ifindex);
  if (known != devices_.end() && known->second == device) {
    return true;
  }
  const bool same_role = known != devices_.end() && known->second.role == device.role;
  if (known != devices_.end() && !same_role) {
    detach(device.ifindex);
  }
  // Known to the kernel side first: a program that runs must find its own device.
  const hp_device value{.role = static_cast<std::uint32_t>(device.role), .master_ifindex = device.master_ifindex};
  if (auto added = put(kernel_.devices, device.ifindex, value, "ifindex " + std::to_string(device.ifindex)); !added) {
    return std::unexpected(added.error());
  }
  if (!same_role) {
    std::array<std::unique_ptr<TcAttachment>, 2> both;
    for (std::size_t i = 0; i < both.size(); i++) {
      const HookPlace place = hooks_of(device.role).at(i);
      auto attachment = kernel_.attach(device.ifindex, place.direction, place.hook);
      if (!attachment) {
        remove(kernel_.devices, device.ifindex);
        if (attachment.error().device_gone) {
          return false;
        }
        return fail("hook " + std::string(to_string(place.hook)) + ": " + attachment.error().error.message);
      }
      both.at(i) = *std::move(attachment);
    }
    attachments_.insert_or_assign(device.ifindex, std::move(both));
  }
  devices_.insert_or_assign(device.ifindex, device);
  return true;
}

void AttachmentTable::detach(std::uint32_t ifindex) {
  attachments_.erase(ifindex);
  if (devices_.erase(ifindex) != 0) {
    remove(kernel_.devices, ifindex);
  }
}

Result<bool> AttachmentTable::first_in_line(std::uint32_t ifindex) const {
  for (const auto& attachment : attachments_.at(ifindex)) {
    if (auto first = attachment->first_in_line(); !first || !*first) {
      return first;
    }
  }
  return true;
}

bool AttachmentTable::answers_may_change(const std::set<std::uint32_t>& filters_changed, SinceBoot now) {
  std::erase_if(followed_, [this](const auto& entry) { return !attachments_.contains(entry.first); });
  // The next devices after the last one, and round again.
  std::set<std::uint32_t> turn = filters_changed;
  auto next = attachments_.upper_bound(last_asked_);
  for (std::size_t i = 0; i < std::min(kAskedAbout, attachments_.size()); i++, next++) {
    next = next == attachments_.end() ? attachments_.begin() : next;
    turn.insert(next->first);
    last_asked_ = next->first;
  }
  bool any = false;
  for (const auto& [ifindex, attachments] : attachments_) {
    if (devices_.at(ifindex).role != DeviceRole::kPod) {
      continue;
    }
    Followed& entry = followed_[ifindex];
    const bool first = entry.since.count() == 0;
    if (first) {
      entry.since = now;
    }
    if (first || turn.contains(ifindex)) {
      entry.followed = attachments[1]->may_be_followed(first || filters_changed.contains(ifindex));
    }
    // Whose datapath it is puts its programs on a device soon after it has come.
    any = any || entry.followed || now - entry.since < kNewDevice;
  }
  return any;
}

std::set<std::uint32_t> AttachmentTable::preceded() const {
  std::set<std::uint32_t> found;
  for (const auto& [ifindex, attachments] : attachments_) {
    if (devices_.at(ifindex).role == DeviceRole::kPod && attachments[0]->is_preceded()) {
      found.insert(ifindex);
    }
  }
  return found;
}

Result<void> AttachmentTable::set_node_addresses(const std::set<IpAddress>& addresses) {
  constexpr std::uint32_t kPresent = 1;
  for (const IpAddress& address : addresses) {
    if (node_addresses_.contains(address)) {
      continue;
    }
    if (auto added = put(kernel_.node_addresses, address.to_abi(), kPresent, address.to_string()); !added) {
      return added;
    }
    node_addresses_.insert(address);
  }
  std::erase_if(node_addresses_, [&](const IpAddress& old) {
    if (addresses.contains(old)) {
      return false;
    }
    remove(kernel_.node_addresses, old.to_abi());
    return true;
  });
  return {};
}

}  // namespace hairpind
