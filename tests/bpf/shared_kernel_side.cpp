// SPDX-License-Identifier: Apache-2.0
#include "shared_kernel_side.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace hairpind::testing {
namespace {

constexpr std::size_t kPage = 4096;

bpf_map_info info_of(int fd) {
  bpf_map_info info{};
  __u32 size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) {
    std::perror("ask for a map's size");
    std::abort();
  }
  return info;
}

void empty_hash(int fd) {
  std::vector<std::byte> key(info_of(fd).key_size);
  while (bpf_map_get_next_key(fd, nullptr, key.data()) == 0 && bpf_map_delete_elem(fd, key.data()) == 0) {
  }
}

// An array that can be mapped, as .bss is and those of attempts are.
void zero_mapped(int fd) {
  const bpf_map_info info = info_of(fd);
  const std::size_t value = (std::size_t{info.value_size} + 7) / 8 * 8;
  const std::size_t bytes = (value * info.max_entries + kPage - 1) / kPage * kPage;
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    std::perror("map a BPF array");
    std::abort();
  }
  std::memset(memory, 0, bytes);
  munmap(memory, bytes);
}

void zero_array(int fd) {
  const bpf_map_info info = info_of(fd);
  const auto cpus = info.type == BPF_MAP_TYPE_PERCPU_ARRAY ? static_cast<std::size_t>(libbpf_num_possible_cpus()) : 1;
  const std::vector<std::byte> zero((std::size_t{info.value_size} + 7) / 8 * 8 * cpus);
  for (__u32 index = 0; index < info.max_entries; index++) {
    bpf_map_update_elem(fd, &index, zero.data(), BPF_ANY);
  }
}

void reset(KernelSide& kernel) {
  const std::vector<Frontend> watched(kernel.frontends.watched().begin(), kernel.frontends.watched().end());
  static_cast<void>(kernel.frontends.change({}, watched));
  const Programs& programs = *kernel.programs;
  for (const char* const name : {"incidents", "callers", "captures", "load_balancer_index", "sources"}) {
    empty_hash(programs.map_fd(name));
  }
  __u32 row = 0;
  while (bpf_map_lookup_and_delete_elem(programs.map_fd("free_rows"), nullptr, &row) == 0) {
  }
  for (const char* const name : {"load_balancers", "totals"}) {
    zero_array(programs.map_fd(name));
  }
  for (const char* const name : {"attempts", "attempt_index", "noted_syns", ".bss"}) {
    zero_mapped(programs.map_fd(name));
  }
  // It remembers what it saw last.
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  for ([[maybe_unused]] const int look : {1, 2}) {
    [[maybe_unused]] const auto swept = kernel.settler.sweep(SinceBoot(now));
  }
  [[maybe_unused]] const auto emptied = kernel.ring.poll([](const Event&) {});
}

}  // namespace

KernelSide& fresh_kernel_side(const KernelFeatures& features) {
  static std::map<bool, std::unique_ptr<KernelSide>> loaded;  // by what the tests leave out
  std::unique_ptr<KernelSide>& kernel = loaded[features.has(Feature::kConntrackKfunc)];
  if (!kernel) {
    auto first = KernelSide::load({}, *choose_attach_mode("auto", features), features, true);
    if (!first) {
      std::fprintf(stderr, "%s\n", first.error().message.c_str());
      std::abort();
    }
    kernel = *std::move(first);
  }
  reset(*kernel);
  return *kernel;
}

}  // namespace hairpind::testing
