// SPDX-License-Identifier: Apache-2.0
#include "store.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

namespace hairpind::testing {
namespace {

using nlohmann::json;

ObjectPtr make_object(json value) {
  std::string text = value.dump();
  return std::make_shared<const Object>(Object{.value = std::move(value), .text = std::move(text)});
}

std::string field_text(const json& object, const std::string& path) {
  std::string pointer = "/" + path;
  std::ranges::replace(pointer, '.', '/');
  const json value = object.value(json::json_pointer(pointer), json());
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_boolean()) {
    return value.get<bool>() ? "true" : "false";
  }
  return path == "spec.unschedulable" || path == "spec.hostNetwork" ? "false" : "";
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace

const std::vector<Resource>& resources() {
  static const std::vector<Resource> all = {
      {"",
       "v1",
       "pods",
       "pod",
       "Pod",
       "po",
       true,
       {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName"}},
      {"", "v1", "services", "service", "Service", "svc", true, {"spec.clusterIP", "spec.type"}},
      {"", "v1", "nodes", "node", "Node", "no", false, {"spec.unschedulable"}},
      {"", "v1", "namespaces", "namespace", "Namespace", "ns", false, {"status.phase"}, "V1Namespace"},
      {"",
       "v1",
       "events",
       "event",
       "Event",
       "ev",
       true,
       {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "reason", "reportingComponent", "type"}},
      {"gateway.networking.k8s.io", "v1", "gateways", "gateway", "Gateway", "gtw", true, {}},
      {"elbv2.k8s.aws", "v1beta1", "targetgroupbindings", "targetgroupbinding", "TargetGroupBinding", "tgb", true, {}},
      {"networking.k8s.io", "v1", "ingresses", "ingress", "Ingress", "ing", true, {}},
      {"cilium.io", "v2", "ciliumidentities", "ciliumidentity", "CiliumIdentity", "ciliumid", false, {}},
      // kubectl looks here for a kind that it is not shown.
      {"apiextensions.k8s.io",
       "v1",
       "customresourcedefinitions",
       "customresourcedefinition",
       "CustomResourceDefinition",
       "crd",
       false,
       {}},
      // What deploy/ has.
      {"", "v1", "configmaps", "configmap", "ConfigMap", "cm", true, {}, "V1ConfigMap"},
      {"", "v1", "resourcequotas", "resourcequota", "ResourceQuota", "quota", true, {}, "V1ResourceQuota"},
      {"", "v1", "serviceaccounts", "serviceaccount", "ServiceAccount", "sa", true, {}, "V1ServiceAccount"},
      {"apps", "v1", "daemonsets", "daemonset", "DaemonSet", "ds", true, {}, "V1DaemonSet"},
      {"rbac.authorization.k8s.io", "v1", "clusterroles", "clusterrole", "ClusterRole", "", false, {}, "V1ClusterRole"},
      {"rbac.authorization.k8s.io",
       "v1",
       "clusterrolebindings",
       "clusterrolebinding",
       "ClusterRoleBinding",
       "",
       false,
       {},
       "V1ClusterRoleBinding"},
      {"monitoring.coreos.com", "v1", "podmonitors", "podmonitor", "PodMonitor", "pmon", true, {}, "PodMonitor"},
      {"monitoring.coreos.com",
       "v1",
       "prometheusrules",
       "prometheusrule",
       "PrometheusRule",
       "promrule",
       true,
       {},
       "PrometheusRule"},
      {"security.openshift.io",
       "v1",
       "securitycontextconstraints",
       "securitycontextconstraints",
       "SecurityContextConstraints",
       "scc",
       false,
       {},
       "SecurityContextConstraints"},
  };
  return all;
}

const Resource* find_resource(const std::string& name, const std::string& group) {
  const auto found =
      std::ranges::find_if(resources(), [&](const Resource& each) { return name == each.name && group == each.group; });
  return found == resources().end() ? nullptr : &*found;
}

std::string with_kind(const Resource& resource, const std::string& text) {
  return R"({"kind":")" + std::string(resource.kind) + R"(","apiVersion":")" + resource.group +
         (*resource.group == '\0' ? "" : "/") + resource.version + R"(",)" + text.substr(1);
}

bool Scope::contains(const ObjectPtr& object) const {
  return object && (name_space.empty() || field_text(object->value, "metadata.namespace") == name_space) &&
         std::ranges::all_of(terms, [&](const Term& term) {
           return (field_text(object->value, term.path) == term.value) == term.equal;
         });
}

bool parse_field_selector(const std::string& text, Scope& scope, std::string& error) {
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    const std::string term = text.substr(start, end - start);
    start = end + 1;
    if (term.empty()) {
      continue;
    }
    const std::size_t equals = term.find('=');
    if (equals == std::string::npos) {
      error = "invalid selector: '";
      error.append(text).append("'; can't understand '").append(term).append("'");
      return false;
    }
    const bool equal = equals == 0 || term[equals - 1] != '!';
    const std::string path = term.substr(0, equal ? equals : equals - 1);
    const std::size_t value = term.compare(equals, 2, "==") == 0 ? equals + 2 : equals + 1;
    const std::vector<std::string>& selectable = scope.resource->selectable;
    if (path != "metadata.name" && (path != "metadata.namespace" || !scope.resource->namespaced) &&
        std::ranges::find(selectable, path) == selectable.end()) {
      error = "field label not supported: " + path;
      return false;
    }
    scope.terms.push_back({.path = path, .value = term.substr(value), .equal = equal});
  }
  return true;
}

Event ObjectStore::upsert(const Resource& resource, json object) {
  object.erase("kind");
  object.erase("apiVersion");
  json& metadata = object["metadata"];
  std::string key = metadata.at("name").get<std::string>();
  if (resource.namespaced) {
    if (!metadata.contains("namespace")) {
      metadata["namespace"] = "default";
    }
    key = metadata["namespace"].get<std::string>() + "/" + key;
  }
  ObjectPtr& current = objects_[&resource][key];
  if (!metadata.contains("uid")) {
    char uid[40];
    std::snprintf(uid, sizeof(uid), "00000000-0000-4000-8000-%012llx", static_cast<unsigned long long>(++uids_));
    metadata["uid"] = current ? current->value["metadata"]["uid"] : json(uid);
  }
  if (!metadata.contains("creationTimestamp")) {
    metadata["creationTimestamp"] = current ? current->value["metadata"]["creationTimestamp"] : json(now_text());
  }
  metadata["resourceVersion"] = std::to_string(++revision_);
  const ObjectPtr before = std::exchange(current, make_object(std::move(object)));
  return history_.emplace_back(
      Event{.revision = revision_, .resource = &resource, .key = key, .before = before, .after = current});
}

std::optional<Event> ObjectStore::remove(const Resource& resource, const std::string& key) {
  auto removed = objects_[&resource].extract(key);
  if (removed.empty()) {
    return std::nullopt;
  }
  return history_.emplace_back(
      Event{.revision = ++revision_, .resource = &resource, .key = key, .before = removed.mapped(), .after = nullptr});
}

void ObjectStore::compact() {
  history_.clear();
  // One further, so that whatever version a client may have is too old.
  compacted_ = ++revision_;
}

const ObjectStore::Objects& ObjectStore::objects(const Resource& resource) const {
  static const Objects none;
  const auto found = objects_.find(&resource);
  return found == objects_.end() ? none : found->second;
}

ObjectStore::Objects ObjectStore::objects_at(const Resource& resource, std::uint64_t revision) const {
  Objects then = objects(resource);
  for (auto event = history_.rbegin(); event != history_.rend() && event->revision > revision; ++event) {
    if (event->resource != &resource) {
      continue;
    }
    if (event->before) {
      then[event->key] = event->before;
    } else {
      then.erase(event->key);
    }
  }
  return then;
}

}  // namespace hairpind::testing
