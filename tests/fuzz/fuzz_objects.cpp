// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "hairpind/core/preservation.hpp"
#include "hairpind/kube/objects.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto object = nlohmann::json::parse(data, data + size, nullptr, false);
  if (!object.is_discarded()) {
    if (const auto service = hairpind::parse_service(object)) {
      // Annotations are the cluster users' text.
      hairpind::assess(*service);
      hairpind::hint_for(*service);
    }
    hairpind::parse_pod(object);
    hairpind::parse_node(object);
  }
  return 0;
}
