// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/frontend_table.hpp"

namespace hairpind {
namespace {

constexpr std::uint32_t kPresent = 1;

hp_prefix_key prefix_key(const Frontend& frontend) {
  return {.prefix_length = frontend.prefix_length, .address = frontend.address.to_abi()};
}

hp_endpoint endpoint_key(const IpAddress& address, std::uint16_t port) {
  return Endpoint{.address = address, .port = port}.to_abi();
}

std::uint32_t filter_bit(const Frontend& frontend) {
  const hp_address address = frontend.address.to_abi();
  return hp_address_filter_bit(&address);
}

}  // namespace

FrontendTable::Refused FrontendTable::change(std::span<const Frontend> added, std::span<const Frontend> removed) {
  for (const Frontend& frontend : removed) {
    if (watched_.contains(frontend)) {
      remove(frontend);
    }
  }
  Refused refused;
  // A table that is full stays so: one refusal speaks for the rest of the kind.
  bool full = false;
  bool prefixes_full = false;
  for (const Frontend& frontend : added) {
    if (watched_.contains(frontend)) {
      continue;
    }
    bool& no_room = frontend.is_prefix() ? prefixes_full : full;
    if (!no_room) {
      const auto done = add(frontend);
      if (done) {
        continue;
      }
      no_room = true;
      if (refused.why.empty()) {
        refused.why = done.error().message;
      }
    }
    refused.frontends.push_back(frontend);
  }
  return refused;
}

Result<void> FrontendTable::add(const Frontend& frontend) {
  // The filter first: it must never say no to what is in the map.
  use_filter_bit(frontend);
  Result<void> done;
  if (frontend.is_prefix()) {
    done = put(maps_.prefixes, prefix_key(frontend), kPresent, frontend.to_string());
    if (done) {
      watched_.insert(frontend);
    }
  } else {
    if (frontend.port != 0) {
      done = put(maps_.frontends, endpoint_key(frontend.address, frontend.port),
                 hp_frontend{.any_port = 0, .counters = 0}, frontend.to_string());
    }
    if (done) {
      watched_.insert(frontend);
      done = write_address(frontend.address);
    }
    if (!done) {
      watched_.erase(frontend);
      hairpind::remove(maps_.frontends, endpoint_key(frontend.address, frontend.port));
    }
  }
  if (!done) {
    leave_filter_bit(frontend);
  }
  return done;
}

void FrontendTable::remove(const Frontend& frontend) {
  watched_.erase(frontend);
  if (frontend.is_prefix()) {
    hairpind::remove(maps_.prefixes, prefix_key(frontend));
  } else {
    // The address's entry is there, or it goes: neither needs room.
    [[maybe_unused]] const auto written = write_address(frontend.address);
    if (frontend.port != 0) {
      hairpind::remove(maps_.frontends, endpoint_key(frontend.address, frontend.port));
    }
  }
  leave_filter_bit(frontend);
}

Result<void> FrontendTable::write_address(const IpAddress& address) {
  const hp_endpoint key = endpoint_key(address, 0);
  const auto first = watched_.lower_bound(Frontend{.address = address, .prefix_length = 128});
  if (first == watched_.end() || first->address != address || first->is_prefix()) {
    hairpind::remove(maps_.frontends, key);
    return {};
  }
  return put(maps_.frontends, key, hp_frontend{.any_port = first->port == 0 ? 1U : 0U, .counters = 0},
             first->to_string());
}

void FrontendTable::use_filter_bit(const Frontend& frontend) {
  const std::uint32_t bit = filter_bit(frontend);
  filter_uses_.at(bit)++;
  maps_.filter[bit / 64] |= __u64{1} << (bit % 64);
}

void FrontendTable::leave_filter_bit(const Frontend& frontend) {
  const std::uint32_t bit = filter_bit(frontend);
  if (--filter_uses_.at(bit) == 0) {
    maps_.filter[bit / 64] &= ~(__u64{1} << (bit % 64));
  }
}

}  // namespace hairpind
