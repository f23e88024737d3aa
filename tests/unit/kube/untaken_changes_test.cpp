// SPDX-License-Identifier: Apache-2.0
#include "untaken_changes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Pod pod(const std::string& name, const std::string& uid = "") {
  Pod result;
  result.ref = {.namespace_name = "shop", .name = name, .workload = "Deployment/x"};
  result.uid = uid;
  return result;
}

Service service(const std::string& name, const std::string& type = "") {
  Service result;
  result.namespace_name = "shop";
  result.name = name;
  result.load_balancer_class = type;
  return result;
}

TEST(UntakenChanges, OfEachObjectOnlyTheNewestWaits) {
  UntakenChanges changes;
  changes.upsert(pod("web", "1"));
  changes.upsert(pod("web", "2"));
  changes.upsert(service("api", "a"));
  changes.upsert(service("api", "b"));
  const ClusterChanges taken = changes.take();
  EXPECT_THAT(taken.pods, ElementsAre(pod("web", "2")));
  EXPECT_THAT(taken.services, ElementsAre(service("api", "b")));
  EXPECT_TRUE(changes.take().empty());
}

TEST(UntakenChanges, WhatIsRemovedBeforeAnybodyLooksIsNotTold) {
  UntakenChanges changes;
  changes.upsert(pod("web"));
  changes.remove_pod("shop/web");
  changes.upsert(service("api"));
  changes.remove_service("shop/api");
  const ClusterChanges taken = changes.take();
  EXPECT_THAT(taken.pods, IsEmpty());
  EXPECT_THAT(taken.services, IsEmpty());
  ASSERT_EQ(taken.removed_pods.size(), 1);
  EXPECT_EQ(taken.removed_pods[0].namespace_name, "shop");
  EXPECT_EQ(taken.removed_pods[0].name, "web");
  EXPECT_THAT(taken.removed_services, ElementsAre("shop/api"));
  EXPECT_TRUE(changes.take().empty());
}

TEST(UntakenChanges, WhatComesAgainIsRemovedAndTold) {
  UntakenChanges changes;
  changes.remove_pod("shop/web");
  changes.upsert(pod("web", "2"));
  const ClusterChanges taken = changes.take();
  EXPECT_EQ(taken.removed_pods.size(), 1);
  EXPECT_THAT(taken.pods, ElementsAre(pod("web", "2")));
}

}  // namespace
}  // namespace hairpind
