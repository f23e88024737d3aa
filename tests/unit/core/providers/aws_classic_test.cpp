// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

TEST(AssessAwsClassic, IsAFullProxy) {
  expect({
      {"by name", service({}, {classic_name}), Risk::kSafe, "a classic load balancer's: a full proxy"},
      {"in China", service({}, {host("a-1.cn-north-1.elb.amazonaws.com.cn")}), Risk::kSafe,
       "a classic load balancer's"},
  });
}

}  // namespace
}  // namespace hairpind::providers
