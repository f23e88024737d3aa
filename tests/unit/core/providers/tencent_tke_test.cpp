// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

TEST(AssessTencentTke, NodesNeedNotTranslateTheAddress) {
  const std::string subnet = "service.kubernetes.io/qcloud-loadbalancer-internal-subnetid";
  const std::string prevent = "service.cloud.tencent.com/prevent-loopback";
  expect({
      {"internal", service({{subnet, "subnet-a"}}, {vip}), Risk::kUnknown, "in IPVS mode TKE's nodes do not"},
      {"pods as targets", service({{"service.cloud.tencent.com/direct-access", "true"}}, {vip}), Risk::kUnknown,
       "IPVS"},
      {"one that was there", service({{"service.kubernetes.io/tke-existed-lbid", "lb-1"}}, {vip}), Risk::kUnknown,
       "IPVS"},
      {"prevented", service({{subnet, "subnet-a"}, {prevent, "true"}}, {vip}), Risk::kSafe, "kube-proxy"},
      {"not prevented", service({{subnet, "subnet-a"}, {prevent, "false"}}, {vip}), Risk::kUnknown, "IPVS"},
      {"prevented, but no address to translate", service({{prevent, "true"}}, {proxy}), Risk::kUnknown, "none that"},
  });
  EXPECT_THAT(assess(service({{subnet, "a"}}, {vip})).fix, StartsWith(prevent + ": \"true\""));
  EXPECT_THAT(assess(service({{subnet, "a"}}, {vip})).link, HasSubstr("457/42976"));
}

}  // namespace
}  // namespace hairpind::providers
