// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "hairpind/bpf/bpf_map.hpp"

namespace hairpind::testing {

/// A hash map as the kernel's: it has so much room and no more.
class FakeMap final : public BpfMap {
 public:
  explicit FakeMap(std::size_t room = 1000) : room_(room) {}

  [[nodiscard]] Result<void> put(std::span<const std::byte> key, std::span<const std::byte> value,
                                 const std::string& what) override {
    puts_++;
    const std::vector<std::byte> bytes(key.begin(), key.end());
    if (entries_.size() >= room_ && !entries_.contains(bytes)) {
      return fail_errno("add " + what + " to the BPF map 'fake'", E2BIG);
    }
    entries_[bytes].assign(value.begin(), value.end());
    return {};
  }
  void remove(std::span<const std::byte> key) override { entries_.erase({key.begin(), key.end()}); }

  template <typename Value, typename Key>
  [[nodiscard]] std::optional<Value> get(const Key& key) const {
    const auto bytes = std::as_bytes(std::span(&key, 1));
    const auto found = entries_.find({bytes.begin(), bytes.end()});
    if (found == entries_.end()) {
      return std::nullopt;
    }
    Value value{};
    std::memcpy(&value, found->second.data(), sizeof(value));
    return value;
  }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::size_t puts() const { return puts_; }
  void make_room(std::size_t room) { room_ = room; }

 private:
  std::size_t room_;
  std::size_t puts_ = 0;
  std::map<std::vector<std::byte>, std::vector<std::byte>> entries_;
};

}  // namespace hairpind::testing
