// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hairpind {

/// The names of a load balancer's addresses zone by zone: "eu-west-1a.NAME" to "eu-west-1f.NAME" where AWS has made the
/// name for a Network Load Balancer, NAME.elb.REGION.amazonaws.com (or .com.cn); else none. Those of zones that it is
/// not in do not exist. A classic or Application Load Balancer (NAME.REGION.elb.amazonaws.com) has none.
/// (docs.aws.amazon.com, elasticloadbalancing/latest/network/network-load-balancers.html, "DNS name")
std::vector<std::string> zonal_names(std::string_view host);

}  // namespace hairpind
