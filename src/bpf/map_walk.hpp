// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// A map's name and sizes, as the kernel has them.
inline Result<bpf_map_info> map_info(int fd) {
  bpf_map_info info{};
  std::uint32_t length = sizeof(info);
  if (const int error = bpf_obj_get_info_by_fd(fd, &info, &length); error != 0) {
    return fail_errno("ask about a BPF map", error);
  }
  return info;
}

/// Visits all entries of a hash map. Batches where the kernel has them for this map type (5.6), a bounded number of
/// calls always: a map that changes while it is read cannot keep the reader busy for ever.
template <typename Key, typename Value, typename Visit>
Result<void> for_each_entry(int fd, Visit visit) {
  const auto info = map_info(fd);
  if (!info) {
    return std::unexpected(info.error());
  }
  constexpr std::uint32_t kBatch = 256;
  std::vector<Key> keys(kBatch);
  std::vector<Value> values(kBatch);
  const std::uint32_t limit = 4 * info->max_entries + kBatch;
  std::array<std::byte, sizeof(Key) < 8 ? 8 : sizeof(Key)> token{};
  bool first = true;
  std::uint32_t batch = kBatch;
  for (std::uint32_t seen = 0; seen < limit;) {
    std::uint32_t count = batch;
    const int error = bpf_map_lookup_batch(fd, first ? nullptr : token.data(), token.data(), keys.data(), values.data(),
                                           &count, nullptr);
    if (error == -ENOSPC) {
      // One bucket holds more than the batch.
      batch *= 2;
      keys.resize(batch);
      values.resize(batch);
      continue;
    }
    if (error != 0 && error != -ENOENT) {
      return fail_errno("read the BPF map '" + std::string(static_cast<const char*>(info->name)) + "'", error);
    }
    for (std::uint32_t i = 0; i < count; i++) {
      visit(keys[i], values[i]);
    }
    if (error == -ENOENT) {
      break;
    }
    seen += std::max<std::uint32_t>(count, 1);
    first = false;
  }
  return {};
}

}  // namespace hairpind
