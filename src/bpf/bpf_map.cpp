// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/bpf_map.hpp"

#include <bpf/bpf.h>

namespace hairpind {

Result<void> KernelMap::put(std::span<const std::byte> key, std::span<const std::byte> value, const std::string& what) {
  if (const int error = bpf_map_update_elem(fd_, key.data(), value.data(), BPF_ANY); error != 0) {
    return fail_errno("add " + what + " to the BPF map '" + name_ + "'", error);
  }
  return {};
}

void KernelMap::remove(std::span<const std::byte> key) {
  bpf_map_delete_elem(fd_, key.data());
}

}  // namespace hairpind
