// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

TEST(AssessGcp, InternalPassthroughIsSafe) {
  expect({
      {"GCP internal", service({{"networking.gke.io/load-balancer-type", "Internal"}}), Risk::kSafe, "forwarding rule"},
      {"GCP internal, old", service({{"cloud.google.com/load-balancer-type", "Internal"}}, {proxy}), Risk::kSafe,
       "forwarding rule"},
      {"GCP class", with_class("networking.gke.io/l4-regional-internal"), Risk::kSafe, "forwarding rule"},
      {"GCP external", service({{"networking.gke.io/load-balancer-type", "External"}}), Risk::kUnknown, "\"External\""},
      {"GCP external class", with_class("networking.gke.io/l4-regional-external"), Risk::kUnknown,
       "l4-regional-external"},
  });
}

}  // namespace
}  // namespace hairpind::providers
