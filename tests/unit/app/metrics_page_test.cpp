// SPDX-License-Identifier: Apache-2.0
#include "metrics_page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hairpind {
namespace {

const Endpoint kCalled{.address = *IpAddress::parse("10.0.5.5"), .port = 443};
const Endpoint kUncalled{.address = *IpAddress::parse("10.0.5.6"), .port = 443};

KernelCounts counts() {
  KernelCounts result;
  LoadBalancerCounters row{.load_balancer = kCalled};
  row.syns = 7;
  row.mismatches.at(HP_CAUSE_HAIRPIN_IP_TARGET) = 3;
  result.load_balancers = {LoadBalancerCounters{.load_balancer = {}}, row};
  result.totals.at(HP_TOTAL_RING_FULL) = 5;
  return result;
}

MismatchSeries series(const std::string& service) {
  return {.load_balancer = kCalled, .service = service, .cause = Cause::kHairpinIpTarget, .client_namespace = ""};
}

MetricsSnapshot page(const Status& status, const KernelCounts& kernel) {
  return metrics_of(status, &kernel, {}, AttachMode::kTcx);
}

TEST(MetricsPage, HasSeriesForWhatIsWatchedBeforeItsFirstSyn) {
  Status status;
  status.watched.listed = {kUncalled, kCalled};
  const MetricsSnapshot snapshot = page(status, counts());
  ASSERT_EQ(snapshot.load_balancers.size(), 3) << "the rest, the called one once, the uncalled one";
  EXPECT_EQ(snapshot.load_balancers[1].load_balancer, kCalled);
  EXPECT_EQ(snapshot.load_balancers[1].syns, 7);
  EXPECT_EQ(snapshot.load_balancers[2].load_balancer, kUncalled);
  EXPECT_EQ(snapshot.mismatches.at(series("")), 3);
  EXPECT_EQ(snapshot.events_lost.at("ring_full"), 5);
}

// A series that begins without the label of its Service would be another series a second later.
TEST(MetricsPage, InKubernetesARowWaitsForItsLabel) {
  Status status;
  status.kubernetes_synced = true;
  EXPECT_TRUE(page(status, counts()).load_balancers.empty());
  NamedCounts named;
  named.services[kCalled] = "shop/api";
  named.mismatches[series("shop/api")] = 2;
  status.named = std::make_shared<const NamedCounts>(named);
  const MetricsSnapshot snapshot = page(status, counts());
  ASSERT_EQ(snapshot.load_balancers.size(), 1);
  EXPECT_EQ(snapshot.load_balancers[0].service, "shop/api");
  EXPECT_EQ(snapshot.mismatches.at(series("shop/api")), 2) << "as the ledger has booked them";
  EXPECT_EQ(snapshot.mismatches.count(series("")), 0);
}

TEST(MetricsPage, IsThereBeforeTheProgramsAre) {
  Status status;
  status.alerts.dropped = 4;
  status.attached = {.pods = 2, .uplinks = 1};
  const MetricsSnapshot snapshot = metrics_of(status, nullptr, {}, AttachMode::kClsact);
  EXPECT_TRUE(snapshot.load_balancers.empty());
  EXPECT_EQ(snapshot.events_lost.at("alert_dropped"), 4);
  ASSERT_EQ(snapshot.interfaces_attached.size(), 4);
  EXPECT_EQ(snapshot.interfaces_attached[0].count, 2);
  EXPECT_EQ(snapshot.interfaces_attached[0].mode, "clsact");
  EXPECT_EQ(snapshot.interfaces_attached[3].count, 1);
}

}  // namespace
}  // namespace hairpind
