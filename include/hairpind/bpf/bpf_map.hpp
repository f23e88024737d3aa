// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// Writes to one of the kernel's hash maps: where the tables meet the kernel, and where a test puts a map of its own.
class BpfMap {
 public:
  virtual ~BpfMap() = default;
  /// Sets the entry; `what` names it in the error.
  [[nodiscard]] virtual Result<void> put(std::span<const std::byte> key, std::span<const std::byte> value,
                                         const std::string& what) = 0;
  /// Nothing happens where there is none.
  virtual void remove(std::span<const std::byte> key) = 0;
};

/// The same with abi.h's structs.
template <typename Key, typename Value>
[[nodiscard]] Result<void> put(BpfMap& map, const Key& key, const Value& value, const std::string& what) {
  return map.put(std::as_bytes(std::span(&key, 1)), std::as_bytes(std::span(&value, 1)), what);
}
template <typename Key>
void remove(BpfMap& map, const Key& key) {
  map.remove(std::as_bytes(std::span(&key, 1)));
}

/// A map of the loaded object, which owns it and outlives this.
class KernelMap final : public BpfMap {
 public:
  KernelMap(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  [[nodiscard]] Result<void> put(std::span<const std::byte> key, std::span<const std::byte> value,
                                 const std::string& what) override;
  void remove(std::span<const std::byte> key) override;

 private:
  int fd_;
  std::string name_;
};

}  // namespace hairpind
