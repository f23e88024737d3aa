// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/exposure.hpp"

#include <algorithm>

#include "alert_message.hpp"
#include "hairpind/core/incident_tracker.hpp"
#include "hairpind/core/preservation.hpp"
#include "hairpind/core/printable.hpp"

namespace hairpind {

std::map<std::string, Exposure> find_exposures(const Cluster& cluster, const std::vector<Call>& calls, SinceBoot now) {
  std::map<std::string, Exposure> exposures;
  // Once a Service, not once a call: of thousands of calls most are to a few.
  std::map<std::string, std::vector<PodRef>> backends;
  for (const Call& call : calls) {
    const Service* const service = cluster.publisher_at(call.load_balancer);
    if (service == nullptr) {
      continue;
    }
    const auto [known, is_new] = backends.try_emplace(service->full_name());
    if (is_new) {
      known->second = cluster.local_backends(*service);
    }
    const auto client = cluster.pod_at({.address = call.client, .port = 0}, now);
    const auto is_other = [&](const PodRef& backend) { return backend != *client; };
    if (!client || std::ranges::none_of(known->second, is_other)) {
      continue;
    }
    Exposure& exposure = exposures[service->full_name()];
    if (exposure.pairs++ == 0) {
      exposure.example = call;
      exposure.client = *client;
    }
  }
  return exposures;
}

Alert compose_exposure_alert(const Service& service, const Exposure& exposure, const std::string& preserved,
                             const std::string& node, WallTime now) {
  Alert alert;
  alert.event = AlertEvent::kHairpinExposure;
  alert.time = now;
  alert.node = node;
  // One for each Service and node: of this Service, whichever client is the example.
  alert.incident =
      IncidentKey{.client = {}, .load_balancer = exposure.example.load_balancer, .responder = {}, .cause = Cause::kNone}
          .id();
  alert.severity = Severity::kWarning;
  alert.count = exposure.pairs;
  alert.client = {.address = exposure.example.client, .port = 0};
  alert.client_pod = exposure.client;
  alert.load_balancer = exposure.example.load_balancer;
  alert.load_balancer_origin = LoadBalancerOrigin::kService;
  alert.load_balancer_service =
      LoadBalancerRef{.namespace_name = service.namespace_name, .service = service.name, .hostname = ""};
  alert.message =
      printable("pod " + exposure.client.namespace_name + "/" + exposure.client.name + " calls load balancer " +
                    service.full_name() + " (" + exposure.example.load_balancer.to_string() +
                    "), which keeps its address and has a ready backend on the same node: what it sends "
                    "there will fail",
                kMostOfAMessage);
  alert.hint = "The load balancer keeps the client's address (" + preserved + "). " + hint_for(service);
  return alert;
}

}  // namespace hairpind
