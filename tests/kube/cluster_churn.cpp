// SPDX-License-Identifier: Apache-2.0
#include "cluster_churn.hpp"

#include <utility>

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;

// What a real object carries that nobody reads: about a kilobyte.
Json managed_fields() {
  return Json::array({{{"manager", "kube-controller-manager"},
                       {"operation", "Update"},
                       {"apiVersion", "v1"},
                       {"time", "2026-11-24T00:00:00Z"},
                       {"fieldsType", "FieldsV1"},
                       {"fieldsV1", {{"f:metadata", {{"f:annotations", std::string(900, 'x')}}}}}}});
}

std::string octets(int base, int number) {
  return "10." + std::to_string(base + number / 62500) + "." + std::to_string(number / 250 % 250) + "." +
         std::to_string(number % 250 + 1);
}

}  // namespace

ClusterChurn::ClusterChurn(ApiServer& server, int services, int pods, int load_balancers)
    : server_(server),
      load_balancers_(load_balancers),
      moves_(static_cast<std::size_t>(services)),
      restarts_(static_cast<std::size_t>(pods)) {
  for (int i = 0; i < services; i++) {
    put_service(i);
  }
  for (int i = 0; i < pods; i++) {
    put_pod(i);
  }
}

// Evenly among the others, so that changes meet both.
bool ClusterChurn::is_load_balancer(int service) const {
  const auto all = static_cast<int>(moves_.size());
  return service * load_balancers_ / all != (service + 1) * load_balancers_ / all;
}

std::string ClusterChurn::address_of(int service) const {
  return octets(64, service + moves_.at(static_cast<std::size_t>(service)) * static_cast<int>(moves_.size()));
}

void ClusterChurn::put_service(int service) {
  const std::string name = "s" + std::to_string(service);
  Json object = {
      {"apiVersion", "v1"},
      {"kind", "Service"},
      {"metadata",
       {{"namespace", "big"},
        {"name", name},
        {"labels", {{"app", name}}},
        {"annotations", {{"example.com/change", std::to_string(changes_)}}},
        {"managedFields", managed_fields()}}},
      {"spec",
       {{"type", "LoadBalancer"},
        {"loadBalancerClass", "service.k8s.aws/nlb"},
        {"selector", {{"app", name}}},
        {"ports", Json::array({{{"name", "https"},
                                {"protocol", "TCP"},
                                {"port", 443},
                                {"targetPort", 8443},
                                {"nodePort", 30000 + service % 2768}}})}}},
      {"status", {{"loadBalancer", {{"ingress", Json::array({{{"ip", address_of(service)}, {"ipMode", "Proxy"}}})}}}}}};
  if (!is_load_balancer(service)) {
    object["spec"]["type"] = "ClusterIP";
    object["spec"].erase("loadBalancerClass");
    object["spec"]["ports"][0].erase("nodePort");
    object.erase("status");
  }
  server_.upsert("services", std::move(object));
}

void ClusterChurn::put_pod(int pod) {
  const int restarts = restarts_.at(static_cast<std::size_t>(pod));
  const std::string app = "s" + std::to_string(pod);
  const std::string address = octets(128, pod + restarts * static_cast<int>(restarts_.size()));
  server_.upsert(
      "pods",
      {{"apiVersion", "v1"},
       {"kind", "Pod"},
       {"metadata",
        {{"namespace", "big"},
         {"name", app + "-7d9f-" + std::to_string(restarts)},
         {"labels", {{"app", app}, {"pod-template-hash", "7d9f"}}},
         {"annotations", {{"example.com/change", std::to_string(changes_)}}},
         {"ownerReferences", Json::array({{{"kind", "ReplicaSet"}, {"name", app + "-7d9f"}, {"controller", true}}})},
         {"managedFields", managed_fields()}}},
       {"spec", {{"nodeName", "n1"}, {"containers", Json::array({{{"name", "c"}}})}}},
       {"status",
        {{"phase", "Running"},
         {"podIP", address},
         {"podIPs", Json::array({{{"ip", address}}})},
         {"conditions", Json::array({{{"type", "Ready"}, {"status", "True"}}})}}}});
}

void ClusterChurn::change() {
  constexpr int kKinds = 10;
  const int kind = changes_ % kKinds;
  const int round = changes_ / kKinds;
  changes_++;
  // Each kind meets every Service and pod in turn; 7 and 10,000 have no common divisor.
  const int service = (round * 7 + kind * 1000) % static_cast<int>(moves_.size());
  const int pod = round % static_cast<int>(restarts_.size());
  if (kind < 6) {
    put_service(service);
  } else if (kind == 6) {
    const std::string before = address_of(service);
    moves_.at(static_cast<std::size_t>(service))++;
    put_service(service);
    if (is_load_balancer(service)) {
      last_move_ = {.service = "s" + std::to_string(service), .from = before, .to = address_of(service)};
    }
  } else if (kind == 7) {
    server_.remove("services", "big", "s" + std::to_string(service));
  } else if (kind == 8) {
    // The one that the change before took away.
    put_service((round * 7 + 7 * 1000) % static_cast<int>(moves_.size()));
  } else {
    server_.remove("pods", "big",
                   "s" + std::to_string(pod) + "-7d9f-" + std::to_string(restarts_.at(static_cast<std::size_t>(pod))));
    restarts_.at(static_cast<std::size_t>(pod))++;
    put_pod(pod);
  }
}

}  // namespace hairpind::testing
