// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "hairpind/core/kubernetes.hpp"
#include "hairpind/core/preservation.hpp"
#include "providers/aws_attributes.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  hairpind::providers::preservation_in(text);
  hairpind::Service service;
  service.load_balancer_class = "service.k8s.aws/nlb";
  service.annotations["service.beta.kubernetes.io/aws-load-balancer-target-group-attributes"] = text;
  service.ports.push_back({.name = "", .protocol = "TCP", .port = 443, .node_port = 0});
  // Whatever it says is said in full: no verdict without its reason.
  if (hairpind::assess(service).reason.empty()) {
    __builtin_trap();
  }
  return 0;
}
