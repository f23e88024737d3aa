// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/attachment_table.hpp"

#include <string>
#include <utility>

namespace hairpind {
namespace {

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
