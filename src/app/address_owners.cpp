// SPDX-License-Identifier: Apache-2.0
#include "address_owners.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

namespace hairpind {
namespace {

constexpr std::chrono::seconds kBetweenLooks{10};

}  // namespace

void AddressOwners::set_pods(std::set<IpAddress> pods) {
  if (pods != pods_) {
    pods_ = std::move(pods);
    tell();
  }
}

void AddressOwners::refresh(SinceBoot now) {
  const bool is_new = look_at_pin();
  if (!is_new && soon_ == 0 && now - looked_ < kBetweenLooks) {
    return;
  }
  looked_ = now;
  soon_ = soon_ > 0 ? soon_ - 1 : 0;
  read_endpoints();
}

bool AddressOwners::look_at_pin() {
  const PinChanges changes = endpoints_.refresh();
  for (const std::string& path : changes.opened) {
    spdlog::info("Cilium's endpoints: reading {}", path);
  }
  for (const std::string& path : changes.gone) {
    spdlog::warn("Cilium's endpoints: {} is gone; waiting for another", path);
  }
  for (const std::string& why : changes.refused) {
    spdlog::warn(
        "Cilium's endpoints: {}; it is not read, and whose an address is, is told by routes alone (is this Cilium "
        "newer than this hairpind?)",
        why);
  }
  return !changes.opened.empty() || !changes.gone.empty() || !changes.refused.empty();
}

void AddressOwners::read_endpoints() {
  auto endpoints = endpoints_.read();
  if (!endpoints) {
    if (reading_.begins()) {
      spdlog::warn("{}; keeping what is known of Cilium's endpoints, trying again", endpoints.error().message);
    }
    return;
  }
  static_cast<void>(reading_.ends());
  devices_ = *std::move(endpoints);
  tell();
}

void AddressOwners::tell() {
  std::map<IpAddress, std::uint32_t> owners;
  for (const IpAddress& address : pods_) {
    owners.emplace(address, 0);
  }
  for (const auto& [address, ifindex] : devices_) {
    owners.insert_or_assign(address, ifindex);
  }
  if (const auto told = table_.set(owners); told) {
    static_cast<void>(telling_.ends());
  } else if (telling_.begins()) {
    spdlog::warn("{}; whose it is, is told by routes alone", told.error().message);
  }
}

}  // namespace hairpind
