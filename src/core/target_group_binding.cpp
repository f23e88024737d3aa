// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/target_group_binding.hpp"

#include <algorithm>

namespace hairpind {

bool feeds(const TargetGroupBinding& binding, const Service& service, const LoadBalancerTarget& target) {
  if (service.namespace_name != binding.namespace_name || service.name != binding.service) {
    return false;
  }
  if (!binding.instances && (!target.pod || !service.selects(*target.pod))) {
    return false;
  }
  return std::ranges::any_of(service.ports, [&](const ServicePort& port) {
    if (port.name != binding.port && std::to_string(port.port) != binding.port) {
      return false;
    }
    return binding.instances ? port.node_port == target.endpoint.port
                             : port.target_port == 0 || port.target_port == target.endpoint.port;
  });
}

}  // namespace hairpind
