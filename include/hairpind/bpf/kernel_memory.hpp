// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace hairpind {

/// What the loaded maps take of the kernel's memory, in bytes.
struct KernelMemory {
  std::uint64_t now = 0;   ///< with the tables that grow as good as empty
  std::uint64_t full = 0;  ///< with every table full
};

/// What the kernel says that a map takes now (/proc/self/fdinfo).
std::uint64_t map_memory(int fd);
/// What one more entry of a hash map takes that grows with its entries.
std::uint64_t map_element_memory(std::uint32_t key_size, std::uint32_t value_size);

/// The memory limit that this process is under: its own cgroup's, or the lowest of one above it.
struct MemoryLimit {
  std::uint64_t bytes = 0;
  std::string file;  ///< that says so
};

/// By cgroup v2 (memory.max) and v1 (memory.limit_in_bytes); nullopt where there is no limit. `cgroups`: the text of
/// /proc/self/cgroup.
std::optional<MemoryLimit> memory_limit(const std::string& cgroups, const std::string& root = "/sys/fs/cgroup");
/// This process's.
std::optional<MemoryLimit> memory_limit();

/// "19.5 MiB"
std::string mebibytes(std::uint64_t bytes);

/// "kernel memory: tables 20.5 MiB, 32.1 MiB when full; limit 128.0 MiB (/sys/fs/cgroup/memory.max)"
std::string describe(const KernelMemory& memory, const std::optional<MemoryLimit>& limit);
/// Full tables and an agent in a large cluster would be more than the limit; and what is said then.
inline constexpr const char* kMemoryShort =
    "with full tables and a large cluster that limit may be too low: raise it (in Kubernetes resources.limits.memory), "
    "or lower --pending-syns";
bool may_fall_short(const KernelMemory& memory, const std::optional<MemoryLimit>& limit);

}  // namespace hairpind
