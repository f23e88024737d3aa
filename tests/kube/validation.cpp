// SPDX-License-Identifier: Apache-2.0
#include "validation.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <utility>

namespace hairpind::testing {
namespace {

using nlohmann::json;

using Rule = std::function<std::string(const json&)>;

std::string invalid(const json& value, const std::string& must) {
  return "Invalid value: " + value.dump() + ": " + must;
}

Rule matches(const std::string& pattern, std::size_t longest, const std::string& must) {
  return [=, expression = std::regex(pattern)](const json& value) -> std::string {
    const auto& text = value.get_ref<const std::string&>();
    return text.size() <= longest && std::regex_match(text, expression) ? "" : invalid(value, must);
  };
}

Rule one_of(const std::set<std::string>& values) {
  return [=](const json& value) -> std::string {
    return values.contains(value.get<std::string>())
               ? ""
               : "Unsupported value: " + value.dump() + ": supported values: " + json(values).dump();
  };
}

/// Of all keys and all values of a map.
Rule each_of(const Rule& key, const Rule& value) {
  return [=](const json& map) {
    std::string why;
    for (const auto& [name, each] : map.items()) {
      why = !why.empty() ? why : key(json(name));
      why = !why.empty() ? why : value(each);
    }
    return why;
  };
}

std::string anything(const json& /*value*/) {
  return "";
}

std::string port(const json& value) {
  if (value.is_string()) {
    return "";  // of a probe: a port's name
  }
  const auto number = value.get<std::int64_t>();
  return number > 0 && number < 65536 ? "" : invalid(value, "must be between 1 and 65535, inclusive");
}

const std::map<std::string, Rule>& rules() {
  static const Rule kLabel =
      matches("[a-z0-9]([-a-z0-9]*[a-z0-9])?", 63,
              "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
              "and must start and end with an alphanumeric character");
  static const Rule kSubdomain = matches(
      "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", 253,
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
      "and end with an alphanumeric character");
  static const Rule kQualifiedName = matches(
      "([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", 317,
      "a qualified name must consist of alphanumeric characters, '-', '_' or '.', with an optional DNS subdomain "
      "prefix and '/'");
  static const Rule kLabelValue = matches(
      "([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?", 63,
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
      "and end with an alphanumeric character");
  static const Rule kQuantity = matches("[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?", 64,
                                        "quantities must match the regular expression "
                                        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  static const Rule kLabels = each_of(kQualifiedName, kLabelValue);
  static const Rule kQuantities = each_of(anything, kQuantity);
  static const Rule kNotEmpty = [](const json& value) -> std::string {
    return value.empty() || value == "" ? "Required value" : "";
  };
  static const std::map<std::string, Rule> all = {
      {"V1ObjectMeta.name", kSubdomain},
      {"V1ObjectMeta.namespace", kLabel},
      {"V1ObjectMeta.labels", kLabels},
      {"V1ObjectMeta.annotations", each_of(kQualifiedName, anything)},
      {"V1LabelSelector.matchLabels", kLabels},
      {"V1ConfigMap.data",
       each_of(matches("[-._a-zA-Z0-9]+", 253,
                       "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"),
               anything)},
      {"V1PodSpec.containers", kNotEmpty},
      {"V1PodSpec.nodeSelector", kLabels},
      {"V1PodSpec.serviceAccountName", kSubdomain},
      {"V1PodSpec.priorityClassName", kSubdomain},
      {"V1PodSpec.dnsPolicy", one_of({"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"})},
      {"V1Container.name", kLabel},
      {"V1Container.image", kNotEmpty},
      {"V1Container.imagePullPolicy", one_of({"Always", "IfNotPresent", "Never"})},
      {"V1ContainerPort.name",
       matches("[a-z0-9-]*[a-z][a-z0-9-]*", 15,
               "must be no more than 15 characters, of a-z, 0-9 and '-', and at least one letter")},
      {"V1ContainerPort.containerPort", port},
      {"V1ContainerPort.hostPort", port},
      {"V1ContainerPort.protocol", one_of({"SCTP", "TCP", "UDP"})},
      {"V1EnvVar.name", kNotEmpty},
      {"V1HTTPGetAction.port", port},
      {"V1HTTPGetAction.path", kNotEmpty},
      {"V1ResourceRequirements.limits", kQuantities},
      {"V1ResourceRequirements.requests", kQuantities},
      {"V1ResourceQuotaSpec.hard", kQuantities},
      {"V1ScopedResourceSelectorRequirement.operator", one_of({"DoesNotExist", "Exists", "In", "NotIn"})},
      {"V1SeccompProfile.type", one_of({"Localhost", "RuntimeDefault", "Unconfined"})},
      {"V1VolumeMount.mountPath", kNotEmpty},
      {"V1VolumeMount.mountPropagation", one_of({"Bidirectional", "HostToContainer", "None"})},
      {"V1Volume.name", kLabel},
      {"V1EmptyDirVolumeSource.sizeLimit", kQuantity},
      {"V1HostPathVolumeSource.type",
       one_of({"", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"})},
      {"V1Toleration.operator", one_of({"", "Equal", "Exists"})},
      {"V1NodeSelectorRequirement.operator", one_of({"DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"})},
      {"V1DaemonSetUpdateStrategy.type", one_of({"OnDelete", "RollingUpdate"})},
      {"V1PolicyRule.verbs", kNotEmpty},
      {"V1RoleRef.apiGroup", one_of({"rbac.authorization.k8s.io"})},
      {"V1RoleRef.kind", one_of({"ClusterRole", "Role"})},
      {"V1RoleRef.name", kNotEmpty},
      {"RbacV1Subject.kind", one_of({"Group", "ServiceAccount", "User"})},
      {"PodMetricsEndpoint.interval", matches("(0|([0-9]+(ms|[smhdwy]))+)", 64, "must be a duration")},
  };
  return all;
}

/// Two of a list that have the same `key`.
void expect_unique(const json& list, const std::string& key, const std::string& path, std::vector<FieldFault>& faults) {
  std::set<json> seen;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].contains(key) && !seen.insert(list[i][key]).second) {
      faults.push_back(
          {.path = path + "[" + std::to_string(i) + "]." + key, .why = "Duplicate value: " + list[i][key].dump()});
    }
  }
}

void validate_pod(const json& pod, const std::string& path, std::vector<FieldFault>& faults) {
  const json none = json::array();
  const json volumes = pod.value("volumes", none);
  expect_unique(volumes, "name", path + ".volumes", faults);
  std::set<std::string> names;
  for (std::size_t i = 0; i < volumes.size(); ++i) {
    names.insert(volumes[i]["name"].get<std::string>());
    if (volumes[i].size() != 2) {
      faults.push_back({.path = path + ".volumes[" + std::to_string(i) + "]",
                        .why = "Required value: must specify one volume type"});
    }
  }
  const json containers = pod.value("containers", none);
  expect_unique(containers, "name", path + ".containers", faults);
  for (std::size_t i = 0; i < containers.size(); ++i) {
    const std::string at = path + ".containers[" + std::to_string(i) + "]";
    const json mounts = containers[i].value("volumeMounts", none);
    for (std::size_t mount = 0; mount < mounts.size(); ++mount) {
      if (!names.contains(mounts[mount]["name"].get<std::string>())) {
        faults.push_back({.path = at + ".volumeMounts[" + std::to_string(mount) + "].name",
                          .why = "Not found: " + mounts[mount]["name"].dump()});
      }
    }
    expect_unique(mounts, "mountPath", at + ".volumeMounts", faults);
    expect_unique(containers[i].value("ports", none), "name", at + ".ports", faults);
  }
}

void validate_daemon_set(const json& object, std::vector<FieldFault>& faults) {
  const json none = json::object();
  const json& spec = object["spec"];
  const json wanted = spec["selector"].value("matchLabels", none);
  const json labels = spec["template"].value(json::json_pointer("/metadata/labels"), none);
  const bool selects = std::ranges::all_of(
      wanted.items(), [&](const auto& each) { return labels.value(each.key(), json()) == each.value(); });
  if (wanted.empty()) {
    faults.push_back({.path = "spec.selector", .why = "Invalid value: empty selector is invalid for daemonset"});
  } else if (!selects) {
    faults.push_back({.path = "spec.template.metadata.labels",
                      .why = invalid(labels, "`selector` does not match template `labels`")});
  }
  if (!spec["template"].contains("spec")) {
    faults.push_back({.path = "spec.template.spec", .why = "Required value"});
  } else {
    validate_pod(spec["template"]["spec"], "spec.template.spec", faults);
  }
}

void validate_rules(const json& object, std::vector<FieldFault>& faults) {
  const json list = object.value("rules", json::array());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string at = "rules[" + std::to_string(i) + "]";
    for (const char* const what : {"apiGroups", "resources"}) {
      if (!list[i].contains("nonResourceURLs") && list[i].value(what, json::array()).empty()) {
        faults.push_back({.path = at + "." + what, .why = "Required value: resource rules must supply at least one"});
      }
    }
  }
}

void validate_subjects(const json& object, std::vector<FieldFault>& faults) {
  const json list = object.value("subjects", json::array());
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i]["kind"] == "ServiceAccount" && list[i].value("namespace", "").empty()) {
      faults.push_back({.path = "subjects[" + std::to_string(i) + "].namespace", .why = "Required value"});
    }
  }
}

}  // namespace

std::string fault_of_value(const std::string& field, const json& value) {
  const auto rule = rules().find(field);
  return rule == rules().end() ? "" : rule->second(value);
}

std::vector<FieldFault> validate(const Resource& resource, const json& object) {
  static const std::map<std::string, void (*)(const json&, std::vector<FieldFault>&)> kKinds = {
      {"DaemonSet", validate_daemon_set}, {"ClusterRole", validate_rules}, {"ClusterRoleBinding", validate_subjects}};
  std::vector<FieldFault> faults;
  if (const auto kind = kKinds.find(resource.kind); kind != kKinds.end()) {
    kind->second(object, faults);
  }
  return faults;
}

}  // namespace hairpind::testing
