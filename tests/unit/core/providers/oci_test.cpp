// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

TEST(AssessOci, PolicyAndSettingDecide) {
  const Annotations oci_nlb{{"oci.oraclecloud.com/load-balancer-type", "nlb"}};
  const auto oci_with = [&](const std::string& preserve) {
    Annotations annotations = oci_nlb;
    annotations[oci_preserve_key] = preserve;
    return annotations;
  };
  const auto local = [](Annotations annotations) {
    Service said = service(std::move(annotations), {proxy});
    said.external_traffic_policy = "Local";
    return said;
  };
  expect({
      {"OCI", local(oci_nlb), Risk::kAtRisk, "is not set, and the default"},
      {"OCI, preserved", local(oci_with("true")), Risk::kAtRisk, oci_preserve_key + ": \"true\""},
      {"OCI, not preserved", local(oci_with("false")), Risk::kSafe, oci_preserve_key + ": \"false\""},
      {"OCI, broken", local(oci_with("yes")), Risk::kUnknown, oci_preserve_key + ": \"yes\" is neither"},
      {"OCI, policy Cluster", service(oci_nlb, {proxy}), Risk::kSafe, "externalTrafficPolicy Cluster"},
      {"OCI, policy Cluster, preserved in vain", service(oci_with("true"), {proxy}), Risk::kSafe, "does not keep"},
      {"OCI, not said to be a network load balancer", local({{oci_preserve_key, "true"}}), Risk::kUnknown,
       "is not a network load balancer's"},
      {"OCI, full proxy", service({{"oci.oraclecloud.com/load-balancer-type", "lb"}}, {proxy}), Risk::kSafe,
       "full proxy"},
  });
}

}  // namespace
}  // namespace hairpind::providers
