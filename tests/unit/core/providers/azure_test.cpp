// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

TEST(AssessAzure, FailsAClientThatIsMappedToItself) {
  expect({
      {"Azure internal", service({{azure_internal_key, "true"}}, {proxy}), Risk::kAtRisk,
       "maps back to the client's own"},
      {"Azure internal, address", service({{azure_internal_key, "true"}}, {vip}), Risk::kSafe, "kube-proxy"},
      {"Azure internal, pending", service({{azure_internal_key, "true"}}), Risk::kUnknown, "unless the status gets"},
      {"Azure public", service({{azure_internal_key, "false"}}, {proxy}), Risk::kUnknown, "this Azure load balancer"},
      {"Azure by another key", service({{"service.beta.kubernetes.io/azure-load-balancer-ipv4", "10.0.5.5"}}, {proxy}),
       Risk::kUnknown, "this Azure load balancer"},
  });
}

}  // namespace
}  // namespace hairpind::providers
