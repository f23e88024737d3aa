// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/programs.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <utility>

#include "handshake.skel.h"
#include "object_loader.hpp"

namespace hairpind {

Programs::Programs(LoadedObject object) : skeleton_(std::move(object.skeleton)), outcome_(std::move(object.outcome)) {}

Programs::~Programs() = default;

Result<std::unique_ptr<Programs>> Programs::load(const Options& options, const KernelFeatures& features) {
  auto object = load_object(options, features);
  if (!object) {
    return std::unexpected(object.error());
  }
  return std::unique_ptr<Programs>(new Programs(*std::move(object)));
}

std::vector<ProgramCost> Programs::costs() const {
  std::vector<ProgramCost> costs;
  bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(skeleton_->obj, program)) != nullptr) {
    bpf_prog_info info{};
    __u32 size = sizeof(info);
    if (bpf_program__autoload(program) && bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0 &&
        info.verified_insns != 0) {
      costs.push_back({.name = bpf_program__name(program),
                       .verified_instructions = info.verified_insns,
                       .bytes = info.xlated_prog_len});
    }
  }
  return costs;
}

KernelMemory Programs::memory() const {
  KernelMemory memory;
  bpf_map* map = nullptr;
  while ((map = bpf_object__next_map(skeleton_->obj, map)) != nullptr) {
    memory.now += map_memory(bpf_map__fd(map));
    if ((bpf_map__map_flags(map) & BPF_F_NO_PREALLOC) != 0) {
      memory.full += bpf_map__max_entries(map) * map_element_memory(bpf_map__key_size(map), bpf_map__value_size(map));
    }
  }
  memory.full += memory.now;
  return memory;
}

int Programs::fd(Hook hook) const {
  switch (hook) {
    case Hook::kFromPod:
      return bpf_program__fd(skeleton_->progs.from_pod);
    case Hook::kToPod:
      return bpf_program__fd(skeleton_->progs.to_pod);
    case Hook::kFromNet:
      return bpf_program__fd(skeleton_->progs.from_net);
    case Hook::kToNet:
      break;
  }
  return bpf_program__fd(skeleton_->progs.to_net);
}

int Programs::map_fd(std::string_view name) const {
  return bpf_object__find_map_fd_by_name(skeleton_->obj, std::string(name).c_str());
}

CounterReader::Maps Programs::counter_maps() const {
  const auto offset = reinterpret_cast<const char*>(&skeleton_->bss->load_balancer_count) -
                      reinterpret_cast<const char*>(skeleton_->bss);
  return {.totals = bpf_map__fd(skeleton_->maps.totals),
          .load_balancers = bpf_map__fd(skeleton_->maps.load_balancers),
          .incidents = bpf_map__fd(skeleton_->maps.incidents),
          .callers = bpf_map__fd(skeleton_->maps.callers),
          .bss = bpf_map__fd(skeleton_->maps.bss),
          .load_balancer_count_offset = static_cast<std::size_t>(offset)};
}

}  // namespace hairpind
