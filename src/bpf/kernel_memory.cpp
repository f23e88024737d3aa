// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/kernel_memory.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

namespace hairpind {
namespace {

// A limit that is none: "max" by v2, by v1 the largest number of whole pages.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60U;

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<std::uint64_t> limit_in(const std::string& path) {
  const std::string text = text_of(path);
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return error == std::errc() && bytes < kNoLimit ? std::optional(bytes) : std::nullopt;
}

// In a container the names of the groups above may be unknown, and what is mounted be the own group.
void look_upwards(const std::filesystem::path& root, std::string_view group, const char* file,
                  std::optional<MemoryLimit>& lowest) {
  group.remove_prefix(std::min(group.find_first_not_of('/'), group.size()));
  for (std::filesystem::path at(group);; at = at.parent_path()) {
    const std::string path = root / at / file;
    if (const auto bytes = limit_in(path); bytes && (!lowest || *bytes < lowest->bytes)) {
      lowest = {.bytes = *bytes, .file = path};
    }
    if (at.empty()) {
      return;
    }
  }
}

// What the kernel keeps with each entry of a hash map (struct htab_elem).
constexpr std::uint64_t kElementBytes = 48;
constexpr std::uint64_t kWord = 8;
// The agent's own, with 10,000 Services. The start takes less beside tables that are empty then: 24 MiB were measured,
// for the kernel's type information and the verifier.
constexpr std::uint64_t kOwnBytes = 40U << 20U;

constexpr std::uint64_t whole_words(std::uint64_t bytes) {
  return (bytes + kWord - 1) / kWord * kWord;
}

}  // namespace

std::uint64_t map_memory(int fd) {
  constexpr std::string_view kField = "memlock:\t";
  const std::string text = text_of("/proc/self/fdinfo/" + std::to_string(fd));
  const std::size_t at = text.find(kField);
  std::uint64_t bytes = 0;
  if (at != std::string::npos) {
    std::from_chars(text.data() + at + kField.size(), text.data() + text.size(), bytes);
  }
  return bytes;
}

std::uint64_t map_element_memory(std::uint32_t key_size, std::uint32_t value_size) {
  constexpr std::array<std::uint64_t, 5> kSlabs{64, 96, 128, 192, 256};
  const std::uint64_t bytes = kElementBytes + whole_words(key_size) + whole_words(value_size);
  const auto* const slab = std::ranges::lower_bound(kSlabs, bytes);
  return slab == kSlabs.end() ? bytes : *slab;
}

std::string describe(const KernelMemory& memory, const std::optional<MemoryLimit>& limit) {
  return "kernel memory: tables " + mebibytes(memory.now) + ", " + mebibytes(memory.full) + " when full; " +
         (limit ? "limit " + mebibytes(limit->bytes) + " (" + limit->file + ")" : "no limit");
}

bool may_fall_short(const KernelMemory& memory, const std::optional<MemoryLimit>& limit) {
  return limit && memory.full + kOwnBytes > limit->bytes;
}

std::optional<MemoryLimit> memory_limit(const std::string& cgroups, const std::string& root) {
  std::optional<MemoryLimit> lowest;
  std::istringstream lines(cgroups);
  // "4:memory:/kubepods/pod1", of v1; "0::/kubepods/pod1", of v2.
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) {
      continue;
    }
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    const std::string_view group = std::string_view(line).substr(second + 1);
    if (controllers.empty()) {
      look_upwards(root, group, "memory.max", lowest);
    } else if (controllers == "memory") {
      look_upwards(root + "/memory", group, "memory.limit_in_bytes", lowest);
    }
  }
  return lowest;
}

std::optional<MemoryLimit> memory_limit() {
  return memory_limit(text_of("/proc/self/cgroup"));
}

std::string mebibytes(std::uint64_t bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f MiB", static_cast<double>(bytes) / (1U << 20U));
  return text.data();
}

}  // namespace hairpind
