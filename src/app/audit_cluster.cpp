// SPDX-License-Identifier: Apache-2.0
#include "audit_cluster.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "hairpind/kube/cluster_access.hpp"
#include "hairpind/kube/collection.hpp"
#include "hairpind/kube/load_balancer_objects.hpp"
#include "hairpind/kube/objects.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;
using PodsByNode = std::map<std::string, std::vector<Pod>>;

/// A collection of another kind, and what its items are: a list need not say so of each.
struct OtherCollection {
  const char* path;
  const char* api_version;
  const char* kind;
};

// Classes first: they name the controllers of what comes after.
constexpr std::array kOtherCollections = {
    OtherCollection{"/apis/gateway.networking.k8s.io/v1/gatewayclasses", "gateway.networking.k8s.io/v1",
                    "GatewayClass"},
    OtherCollection{"/apis/networking.k8s.io/v1/ingressclasses", "networking.k8s.io/v1", "IngressClass"},
    OtherCollection{"/apis/gateway.networking.k8s.io/v1/gateways", "gateway.networking.k8s.io/v1", "Gateway"},
    OtherCollection{"/apis/networking.k8s.io/v1/ingresses", "networking.k8s.io/v1", "Ingress"},
    OtherCollection{"/apis/elbv2.k8s.aws/v1beta1/targetgroupbindings", "elbv2.k8s.aws/v1beta1", "TargetGroupBinding"},
    OtherCollection{"/apis/gateway.k8s.aws/v1beta1/targetgroupconfigurations", "gateway.k8s.aws/v1beta1",
                    "TargetGroupConfiguration"},
    OtherCollection{"/apis/operator.openshift.io/v1/ingresscontrollers", "operator.openshift.io/v1",
                    "IngressController"},
};

/// What is read of a cluster.
struct Inventory {
  std::vector<Service> services;
  std::vector<LoadBalancerObject> others;
  std::map<std::string, std::string> controllers;  ///< of classes
  std::optional<PodsByNode> pods;
  ClusterFacts facts;
  std::size_t objects = 0;
  std::vector<std::string> notes;
};

std::expected<std::string, ApiRefusal> list(ApiClient& client, const std::string& path, Inventory& inventory,
                                            const std::function<void(const Json&)>& take) {
  return list_collection(client, {.path = path, .field_selector = ""}, {}, [&](const Json& object) {
    if (object.is_null()) {
      inventory.notes.push_back(path + ": an object larger than any true one; passed over");
    } else {
      take(object);
    }
  });
}

void read_others(ApiClient& client, Inventory& inventory) {
  for (const OtherCollection& collection : kOtherCollections) {
    const auto listed = list(client, collection.path, inventory, [&](const Json& item) {
      Json object = item;
      if (!object.is_object()) {
        return;
      }
      object["apiVersion"] = collection.api_version;
      object["kind"] = collection.kind;
      inventory.objects++;
      if (auto controller = parse_class(object)) {
        inventory.controllers.insert_or_assign(std::move(controller->key), std::move(controller->controller));
      } else if (auto other = parse_load_balancer_object(object)) {
        name_controller(*other, inventory.controllers);
        inventory.others.push_back(*std::move(other));
      }
    });
    // A cluster that does not have the kind has none of them.
    if (!listed && listed.error().status != 404) {
      inventory.notes.push_back(listed.error().why + "; none of these is in the report");
    }
  }
}

void read_nodes(ApiClient& client, Inventory& inventory) {
  const auto listed = list(client, "/api/v1/nodes", inventory, [&](const Json& node) {
    const auto version = parse_kubelet_version(node);
    if (version && (!inventory.facts.newest_node || *inventory.facts.newest_node < *version)) {
      inventory.facts.newest_node = version;
    }
  });
  if (!listed) {
    inventory.notes.push_back(listed.error().why + "; going on without the nodes' version");
  }
}

void read_pods(ApiClient& client, Inventory& inventory) {
  PodsByNode pods;
  const auto listed = list(client, "/api/v1/pods", inventory, [&](const Json& object) {
    auto pod = parse_pod(object);
    if (pod && !pod->finished && !pod->node_name.empty()) {
      pods[pod->node_name].push_back(*std::move(pod));
    }
  });
  if (listed) {
    inventory.pods = std::move(pods);
  } else {
    // What is at risk can be said without knowing who is exposed today.
    inventory.notes.push_back(listed.error().why + "; going on without the pods");
  }
}

/// Nodes with a ready backend of the Service and a pod, not that one, that could be its client.
std::size_t exposed_nodes(const Service& service, const PodsByNode& pods) {
  return static_cast<std::size_t>(std::ranges::count_if(pods, [&](const auto& node) {
    const bool backend =
        std::ranges::any_of(node.second, [&](const Pod& pod) { return pod.ready && service.selects(pod); });
    return backend && node.second.size() > 1;
  }));
}

Result<ClusterAccess> cluster_access(const std::string& kubeconfig, const std::string& context) {
  if (!kubeconfig.empty()) {
    return kubeconfig_access({kubeconfig}, context);
  }
  // As kubectl: a kubeconfig, else the service account of the pod that this may be.
  const auto found = default_kubeconfigs();
  return found.empty() ? in_cluster_access(kServiceAccountDirectory) : kubeconfig_access(found, context);
}

AuditReport report_of(const Inventory& inventory) {
  AuditReport report{.rows = {}, .objects = inventory.objects, .notes = inventory.notes};
  for (const Service& service : inventory.services) {
    if (service.type == "LoadBalancer") {
      AuditRow row = row_of(service, {}, inventory.facts);
      if (inventory.pods) {
        row.exposed_nodes = exposed_nodes(service, *inventory.pods);
      }
      report.rows.push_back(std::move(row));
    }
  }
  for (const LoadBalancerObject& other : inventory.others) {
    report.rows.push_back(row_of(other, {}));
  }
  return report;
}

}  // namespace

Result<AuditReport> audit_cluster(const std::string& kubeconfig, const std::string& context) {
  const auto access = cluster_access(kubeconfig, context);
  if (!access) {
    return std::unexpected(access.error());
  }
  const auto client = ApiClient::create(*access);
  if (!client) {
    return std::unexpected(client.error());
  }
  Inventory inventory;
  if (!access->verify) {
    inventory.notes.push_back("insecure-skip-tls-verify: whoever stands between here and " + access->url() +
                              " can read and change all");
  }
  const auto listed = list(**client, "/api/v1/services", inventory, [&](const Json& object) {
    inventory.objects++;
    if (auto service = parse_service(object)) {
      inventory.services.push_back(*std::move(service));
    }
  });
  if (!listed) {
    return fail(listed.error().why);
  }
  read_others(**client, inventory);
  read_nodes(**client, inventory);
  read_pods(**client, inventory);
  return report_of(inventory);
}

}  // namespace hairpind
