// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>

#include "hairpind/core/preservation.hpp"
#include "hairpind/kube/manifests.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hairpind::Manifests manifests;
  hairpind::read_manifest(std::string(reinterpret_cast<const char*>(data), size), "fuzz", manifests);
  for (const auto& service : manifests.services) {
    hairpind::assess(service.object);
  }
  for (const auto& other : manifests.others) {
    hairpind::assess(other.object);
  }
  return 0;
}
