// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/kubernetes.hpp"

namespace hairpind {

/// What hairpind uses of a v1 object. Unknown fields are ignored, fields of the wrong type count as absent; nullopt
/// for what has no name and so is no object at all. Lists and maps are cut to what a true object needs: 64 ports, 32
/// published addresses, 4 KiB of labels.
std::optional<Pod> parse_pod(const nlohmann::json& object);
std::optional<Service> parse_service(const nlohmann::json& object);
/// metadata.creationTimestamp; the epoch where there is none.
std::chrono::sys_seconds creation_time(const nlohmann::json& object);
/// Leaves of a Service's annotations those that some rule reads (core/preservation), cut to a length: whoever may
/// create Services must not be able to fill the memory of all agents, nor their alerts.
void keep_what_is_judged(Service& service);
/// status.nodeInfo.kubeletVersion of a v1 Node.
std::optional<KubernetesVersion> parse_kubelet_version(const nlohmann::json& object);
/// Of status.addresses[] those that are addresses.
Node parse_node(const nlohmann::json& object);
/// security-labels of a cilium.io/v2 CiliumIdentity as Cilium writes them, "k8s:app=web": the first 32 or 2 KiB of
/// them, printable.
std::vector<std::string> parse_cilium_identity(const nlohmann::json& object);

}  // namespace hairpind
