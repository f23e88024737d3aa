// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

const std::string elb_prefix = "kubernetes.io/elb.";

Service cce(Annotations annotations, std::string policy = "Cluster") {
  annotations[elb_prefix + "id"] = "0";
  Service said = service(std::move(annotations), {vip});
  said.external_traffic_policy = std::move(policy);
  return said;
}

TEST(AssessHuaweiCce, PassThroughLeavesTheNode) {
  const Annotations dedicated{{elb_prefix + "class", "performance"}};
  const auto through = [&](const std::string& value, const std::string& elb_class = "performance") {
    return Annotations{{elb_prefix + "class", elb_class}, {elb_prefix + "pass-through", value}};
  };
  expect({
      {"dedicated", cce(through("true")), Risk::kAtRisk, "cannot be reached from a backend's node"},
      {"dedicated, local pods only", cce(through("onlyLocal"), "Local"), Risk::kAtRisk, "\"onlyLocal\""},
      {"shared", cce(through("true", "union")), Risk::kUnknown, "a shared one keeps"},
      {"off", cce(through("false")), Risk::kSafe, "kube-proxy"},
      {"off, policy Local", cce(through("false"), "Local"), Risk::kSafe, "kube-proxy"},
      {"not set", cce(dedicated), Risk::kSafe, "kube-proxy"},
      {"not set, which CCE does itself with policy Local", cce(dedicated, "Local"), Risk::kAtRisk,
       "which CCE sets by itself with externalTrafficPolicy Local, sends"},
  });
  EXPECT_THAT(assess(cce(through("true"))).link, HasSubstr("cce_10_0355"));
  EXPECT_THAT(assess(cce(through("true"))).fix, AllOf(HasSubstr("pass-through: \"false\""), Not(HasSubstr("AWS"))));
}

}  // namespace
}  // namespace hairpind::providers
