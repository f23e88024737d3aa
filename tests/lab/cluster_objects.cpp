// SPDX-License-Identifier: Apache-2.0
#include "cluster_objects.hpp"

#include <utility>

namespace hairpind::testing {

using Json = nlohmann::json;

Json lab_node() {
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata", {{"name", "n1"}}},
          {"status", {{"addresses", Json::array({{{"type", "InternalIP"}, {"address", "10.0.0.4"}}})}}}};
}

Json ready_pod(const std::string& name, const std::string& app, const std::vector<std::string>& addresses) {
  Json pod_ips = Json::array();
  for (const std::string& address : addresses) {
    pod_ips.push_back({{"ip", address}});
  }
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata", {{"namespace", "shop"}, {"name", name}, {"labels", {{"app", app}}}}},
          {"spec", {{"nodeName", "n1"}, {"containers", Json::array({{{"name", "c"}}})}}},
          {"status",
           {{"phase", "Running"},
            {"podIP", addresses.at(0)},
            {"podIPs", std::move(pod_ips)},
            {"conditions", Json::array({{{"type", "Ready"}, {"status", "True"}}})}}}};
}

}  // namespace hairpind::testing
