// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace hairpind {
namespace {

using ::testing::HasSubstr;

MetricsSnapshot snapshot() {
  MetricsSnapshot snapshot;
  LoadBalancerCounters lb;
  lb.load_balancer = {.address = *IpAddress::parse("10.0.5.5"), .port = 443};
  lb.syns = 9007199254740991;  // 2^53 - 1: the last number before doubles skip some
  lb.syn_retransmits = 2;
  lb.answered = 3;
  lb.mismatched = 123456789;
  lb.mismatches.at(HP_CAUSE_HAIRPIN_NODE_PORT) = 123456789;
  lb.refused = 5;
  lb.unanswered = 6;
  lb.translations = 7;
  lb.same_node_answered = 13;
  lb.latencies.front() = 1;  // up to 100 us
  lb.latencies.at(11) = 1;   // up to 500 ms
  lb.latencies.back() = 2;
  lb.latency_sum = std::chrono::milliseconds(12500);
  LoadBalancerCounters other;
  other.load_balancer = {};
  snapshot.load_balancers = {lb, other};
  MismatchSeries series{.load_balancer = lb.load_balancer,
                        .service = "shop/api",
                        .cause = Cause::kHairpinNodePort,
                        .client_namespace = "web"};
  snapshot.client_mismatches[series] = 14;
  series.client_namespace = "";
  snapshot.client_mismatches[series] = 15;
  snapshot.kubernetes_synced = true;
  snapshot.exposed_pairs = {{"shop/api", 1}, {"other", 2}};
  snapshot.tls_certificate_current = false;
  snapshot.problems[lb.load_balancer] = {
      .service = "shop/api",
      .state = ProblemState::kDormant,
      .last_mismatch = {{Cause::kHairpinNodePort, WallTime(std::chrono::milliseconds(1763882424999))}},
      .last_answered = std::nullopt};
  snapshot.alerts[AlertEvent::kAsymmetricHandshake] = 8;
  snapshot.events_lost["ring_full"] = 9;
  snapshot.interfaces_attached = {{.hook = "from_pod", .mode = "tcx", .count = 250}};
  snapshot.attach_failures = 10;
  snapshot.interfaces_blind = 18;
  snapshot.pending_syns = 11;
  snapshot.watched_by_origin = {{"configured", 2}, {"service", 15}};
  snapshot.unwatched = 16;
  snapshot.spoofed_sources = 12;
  snapshot.events = 13;
  snapshot.build = {.version = "0.1.0", .revision = "abc", .libbpf = "1.1", .compiler = "GNU 12.2.0"};
  snapshot.process = ProcessUsage{.cpu_seconds = 1.5,
                                  .start_seconds = 1763882424.25,
                                  .resident_bytes = 20,
                                  .virtual_bytes = 21,
                                  .open_descriptors = 22,
                                  .most_descriptors = 23};
  snapshot.kernel_features = {{"tcx", true}, {"sweep", false}};
  snapshot.kubernetes_events = {.written = 19, .refused = 20, .lost = 21};
  return snapshot;
}

TEST(RenderMetrics, NamesLabelsAndValuesAreTheContracts) {
  const std::string text = render_metrics(snapshot());
  for (const char* const line : {
           "hairpind_syns_total{lb=\"10.0.5.5:443\"} 9007199254740991\n",
           "hairpind_syns_total{lb=\"other\"} 0\n",
           "hairpind_syn_retransmits_total{lb=\"10.0.5.5:443\"} 2\n",
           "hairpind_handshakes_total{lb=\"10.0.5.5:443\",result=\"answered\"} 3\n",
           "hairpind_handshakes_total{lb=\"10.0.5.5:443\",result=\"mismatched\"} 123456789\n",
           "hairpind_handshakes_total{lb=\"10.0.5.5:443\",result=\"refused\"} 5\n",
           "hairpind_handshakes_total{lb=\"10.0.5.5:443\",result=\"unanswered\"} 6\n",
           "hairpind_mismatches_total{lb=\"10.0.5.5:443\",cause=\"hairpin_node_port\"} 123456789\n",
           "hairpind_legitimate_translations_total{lb=\"10.0.5.5:443\"} 7\n",
           "hairpind_same_node_answered_total{lb=\"10.0.5.5:443\"} 13\n",
           "hairpind_handshake_seconds_bucket{lb=\"10.0.5.5:443\",le=\"0.001\"} 1\n",
           "hairpind_handshake_seconds_bucket{lb=\"10.0.5.5:443\",le=\"0.1\"} 1\n",
           "hairpind_handshake_seconds_bucket{lb=\"10.0.5.5:443\",le=\"1\"} 2\n",
           "hairpind_handshake_seconds_bucket{lb=\"10.0.5.5:443\",le=\"+Inf\"} 4\n",
           "hairpind_handshake_seconds_count{lb=\"10.0.5.5:443\"} 4\n",
           "hairpind_handshake_seconds_sum{lb=\"10.0.5.5:443\"} 12.5\n",
           "hairpind_alerts_total{event=\"asymmetric_handshake\"} 8\n",
           "hairpind_alerts_total{event=\"asymmetric_handshake_repeated\"} 0\n",
           "hairpind_alerts_total{event=\"asymmetric_handshake_evidence\"} 0\n",
           "hairpind_alerts_total{event=\"asymmetric_handshake_resolved\"} 0\n",
           "hairpind_alerts_total{event=\"asymmetric_handshake_dormant\"} 0\n",
           "hairpind_problem_state{lb=\"10.0.5.5:443\",lb_namespace=\"shop\",lb_service=\"api\",state=\"active\"} 0\n",
           "hairpind_problem_state{lb=\"10.0.5.5:443\",lb_namespace=\"shop\",lb_service=\"api\",state=\"dormant\"} 1\n",
           "hairpind_events_lost_total{reason=\"ring_full\"} 9\n",
           "hairpind_interfaces_attached{hook=\"from_pod\",mode=\"tcx\"} 250\n",
           "hairpind_attach_failures_total 10\n",
           "hairpind_tls_certificate_current 0\n",
           "hairpind_interfaces_blind 18\n",
           "hairpind_pending_syns 11\n",
           "hairpind_load_balancers{origin=\"service\"} 15\n",
           "hairpind_load_balancers_unwatched 16\n",
           "hairpind_spoofed_sources_total 12\n",
           "hairpind_events_total 13\n",
           "hairpind_build_info{version=\"0.1.0\",revision=\"abc\",libbpf=\"1.1\",compiler=\"GNU 12.2.0\"} 1\n",
           "hairpind_exposed_pairs{lb_namespace=\"shop\",lb_service=\"api\"} 1\n",
           "hairpind_exposed_pairs{lb_service=\"other\"} 2\n",
           "process_cpu_seconds_total 1.5\n",
           "process_start_time_seconds 1763882424.25\n",
           "process_resident_memory_bytes 20\n",
           "process_virtual_memory_bytes 21\n",
           "process_open_fds 22\n",
           "process_max_fds 23\n",
           "hairpind_kernel_feature{feature=\"tcx\"} 1\n",
           "hairpind_kernel_feature{feature=\"sweep\"} 0\n",
           "hairpind_kubernetes_events_total{result=\"written\"} 19\n",
           "hairpind_kubernetes_events_total{result=\"refused\"} 20\n",
           "hairpind_kubernetes_events_total{result=\"lost\"} 21\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  constexpr std::string_view kOf = R"(hairpind_client_mismatches_total{lb="10.0.5.5:443",lb_namespace="shop",)"
                                   R"(lb_service="api",cause="hairpin_node_port")";
  EXPECT_THAT(text, HasSubstr(std::string(kOf) + ",client_namespace=\"web\"} 14\n"));
  EXPECT_THAT(text, HasSubstr(std::string(kOf) + "} 15\n")) << "no pod is known";
  EXPECT_NE(
      text.find(R"(hairpind_last_mismatch_timestamp_seconds{lb="10.0.5.5:443",lb_namespace="shop",lb_service="api",)"
                R"(cause="hairpin_node_port"} 1763882424)"),
      std::string::npos);
}

std::size_t series_with(const std::string& text, std::string_view part) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    count += !line.starts_with('#') && line.find(part) != std::string::npos ? 1 : 0;
  }
  return count;
}

TEST(RenderMetrics, ALoadBalancerThatWorksHasTwelveSeriesAtMost) {
  MetricsSnapshot snapshot;
  LoadBalancerCounters lb{.load_balancer = {.address = *IpAddress::parse("10.0.5.5"), .port = 443}};
  lb.syns = 1;
  snapshot.load_balancers = {lb};
  EXPECT_EQ(series_with(render_metrics(snapshot), "10.0.5.5"), 4) << "no histogram before the first answer";
  lb.answered = 1;
  lb.syn_retransmits = 1;
  lb.latencies.front() = 1;
  snapshot.load_balancers = {lb};
  EXPECT_EQ(series_with(render_metrics(snapshot), "10.0.5.5"), 12);
}

// kube-state-metrics has no Service of that name.
TEST(RenderMetrics, WhatIsNoServiceKeepsItsKind) {
  MetricsSnapshot snapshot;
  snapshot.load_balancers = {
      {.load_balancer = {.address = *IpAddress::parse("10.0.5.5"), .port = 443}, .service = "Gateway shop/front"}};
  EXPECT_THAT(render_metrics(snapshot),
              HasSubstr("{lb=\"10.0.5.5:443\",lb_namespace=\"shop\",lb_service=\"Gateway front\"} 0\n"));
}

TEST(RenderMetrics, FamiliesWithoutSamplesStillSayWhatTheyAre) {
  const std::string text = render_metrics({});
  EXPECT_THAT(text, HasSubstr("# TYPE hairpind_mismatches_total counter\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE hairpind_pending_syns gauge\n"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("hairpind_kubernetes_events_total"))) << "not asked for";
}

}  // namespace
}  // namespace hairpind
