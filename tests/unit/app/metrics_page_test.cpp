// SPDX-License-Identifier: Apache-2.0
#include "metrics_page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <sstream>

#include "process_usage.hpp"

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

ProblemStanding standing(ProblemState state) {
  return {.service = "", .state = state, .last_mismatch = {}, .last_answered = std::nullopt};
}

MetricsSnapshot page(const Status& status, const KernelCounts& kernel) {
  return metrics_of(status, &kernel, {}, AttachMode::kTcx);
}

TEST(MetricsPage, HasRowsOfWhatIsCalledAlone) {
  Status status;
  status.watched.listed = {kUncalled, kCalled};
  const MetricsSnapshot snapshot = page(status, counts());
  ASSERT_EQ(snapshot.load_balancers.size(), 2) << "the rest, and the called one";
  EXPECT_EQ(snapshot.load_balancers[1].load_balancer, kCalled);
  EXPECT_EQ(snapshot.load_balancers[1].syns, 7);
  EXPECT_EQ(snapshot.load_balancers[1].mismatches.at(HP_CAUSE_HAIRPIN_IP_TARGET), 3);
  EXPECT_EQ(snapshot.events_lost.at("ring_full"), 5);
  EXPECT_FALSE(snapshot.build.libbpf.empty());
  EXPECT_FALSE(snapshot.build.compiler.empty());
}

TEST(MetricsPage, AnIdleNodeOfALargeClusterHasFewSeries) {
  Status status;
  status.kubernetes_synced = true;
  NamedCounts named;
  for (std::uint16_t i = 0; i < 250; i++) {
    const Endpoint lb{.address = kCalled.address, .port = static_cast<std::uint16_t>(1000 + i)};
    status.watched.listed.push_back(lb);
    named.services[lb] = "shop/api-" + std::to_string(i);
  }
  status.named = std::make_shared<const NamedCounts>(named);
  const std::string text = render_metrics(page(status, {}));
  std::istringstream lines(text);
  int series = 0;
  for (std::string line; std::getline(lines, line);) {
    series += line.starts_with('#') ? 0 : 1;
  }
  EXPECT_LE(series, 100) << "of 500";
}

// A series that begins without the label of its Service would be another series a second later.
TEST(MetricsPage, InKubernetesARowWaitsForItsLabel) {
  Status status;
  status.kubernetes_synced = true;
  status.problems = std::make_shared<ProblemStatus>(ProblemStatus{{kCalled, standing(ProblemState::kActive)}});
  EXPECT_TRUE(page(status, counts()).load_balancers.empty());
  EXPECT_TRUE(page(status, counts()).problems.empty());
  NamedCounts named;
  named.services[kCalled] = "shop/api";
  named.mismatches[series("shop/api")] = 2;
  status.named = std::make_shared<const NamedCounts>(named);
  const MetricsSnapshot snapshot = page(status, counts());
  ASSERT_EQ(snapshot.load_balancers.size(), 1);
  EXPECT_EQ(snapshot.load_balancers[0].service, "shop/api");
  EXPECT_EQ(snapshot.problems.at(kCalled).service, "shop/api");
  EXPECT_EQ(snapshot.client_mismatches.at(series("shop/api")), 2) << "as the ledger has booked them";
}

// It failed before the agent was restarted.
TEST(MetricsPage, AProblemIsThereWithoutARow) {
  Status status;
  status.problems = std::make_shared<ProblemStatus>(ProblemStatus{{kUncalled, standing(ProblemState::kDormant)}});
  EXPECT_EQ(page(status, counts()).problems.at(kUncalled).state, ProblemState::kDormant);
}

TEST(ProcessUsage, IsOfThisProcess) {
  const auto usage = read_process_usage();
  ASSERT_TRUE(usage);
  EXPECT_GT(usage->cpu_seconds, 0);
  EXPECT_LT(usage->cpu_seconds, 3600);
  const auto now = static_cast<double>(std::time(nullptr));
  EXPECT_LE(usage->start_seconds, now + 1);
  EXPECT_GE(usage->start_seconds, now - 3600);
  EXPECT_GT(usage->resident_bytes, 1U << 20U);
  EXPECT_GT(usage->virtual_bytes, usage->resident_bytes);
  EXPECT_GE(usage->open_descriptors, 3);
  EXPECT_LE(usage->open_descriptors, usage->most_descriptors);
  const int another = dup(0);
  EXPECT_EQ(read_process_usage()->open_descriptors, usage->open_descriptors + 1);
  close(another);
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
