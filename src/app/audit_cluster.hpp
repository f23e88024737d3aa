// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "audit_report.hpp"
#include "hairpind/core/error.hpp"

namespace hairpind {

/// Reads a cluster's Services and other objects of which load balancers come, nodes and pods, and judges them. As
/// kubectl: without a `kubeconfig` by its defaults, else by the pod's service account. What the account may not read
/// becomes a note; an error where the Services cannot be read.
Result<AuditReport> audit_cluster(const std::string& kubeconfig, const std::string& context);

}  // namespace hairpind
