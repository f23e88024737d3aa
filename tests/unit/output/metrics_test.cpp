// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  lb.refused = 5;
  lb.unanswered = 6;
  lb.translations = 7;
  lb.same_node_answered = 13;
  lb.latencies.front() = 1;  // up to 100 us
  lb.latencies.back() = 2;
  lb.latency_sum = std::chrono::milliseconds(12500);
  LoadBalancerCounters other;
  other.load_balancer = {};
  snapshot.load_balancers = {lb, other};
  MismatchSeries series{
      .load_balancer = lb.load_balancer, .service = "", .cause = Cause::kHairpinNodePort, .client_namespace = ""};
  snapshot.mismatches[series] = 123456789;
  series.service = "shop/api";
  series.client_namespace = "web";
  snapshot.mismatches[series] = 14;
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
  snapshot.version = "0.1.0";
  snapshot.kernel_features = {{"tcx", true}, {"sweep", false}};
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
           "hairpind_handshake_seconds_bucket{lb=\"10.0.5.5:443\",le=\"0.0001\"} 1\n",
           "hairpind_handshake_seconds_bucket{lb=\"10.0.5.5:443\",le=\"5\"} 1\n",
           "hairpind_handshake_seconds_bucket{lb=\"10.0.5.5:443\",le=\"+Inf\"} 3\n",
           "hairpind_handshake_seconds_count{lb=\"10.0.5.5:443\"} 3\n",
           "hairpind_handshake_seconds_sum{lb=\"10.0.5.5:443\"} 12.5\n",
           "hairpind_alerts_total{event=\"asymmetric_handshake\"} 8\n",
           "hairpind_alerts_total{event=\"asymmetric_handshake_repeated\"} 0\n",
           "hairpind_alerts_total{event=\"asymmetric_handshake_evidence\"} 0\n",
           "hairpind_alerts_total{event=\"asymmetric_handshake_resolved\"} 0\n",
           "hairpind_alerts_total{event=\"asymmetric_handshake_dormant\"} 0\n",
           "hairpind_problem_state{lb=\"10.0.5.5:443\",lb_service=\"shop/api\",state=\"active\"} 0\n",
           "hairpind_problem_state{lb=\"10.0.5.5:443\",lb_service=\"shop/api\",state=\"dormant\"} 1\n",
           "hairpind_events_lost_total{reason=\"ring_full\"} 9\n",
           "hairpind_interfaces_attached{hook=\"from_pod\",mode=\"tcx\"} 250\n",
           "hairpind_attach_failures_total 10\n",
           "hairpind_interfaces_blind 18\n",
           "hairpind_pending_syns 11\n",
           "hairpind_load_balancers{origin=\"service\"} 15\n",
           "hairpind_load_balancers_unwatched 16\n",
           "hairpind_spoofed_sources_total 12\n",
           "hairpind_events_total 13\n",
           "hairpind_build_info{version=\"0.1.0\"} 1\n",
           "hairpind_kernel_feature{feature=\"tcx\"} 1\n",
           "hairpind_kernel_feature{feature=\"sweep\"} 0\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, HasSubstr("hairpind_mismatches_total{lb=\"10.0.5.5:443\",lb_service=\"shop/api\","
                              "cause=\"hairpin_node_port\",client_namespace=\"web\"} 14\n"));
  EXPECT_NE(text.find(R"(hairpind_last_mismatch_timestamp_seconds{lb="10.0.5.5:443",lb_service="shop/api",)"
                      R"(cause="hairpin_node_port"} 1763882424)"),
            std::string::npos);
}

TEST(RenderMetrics, FamiliesWithoutSamplesStillSayWhatTheyAre) {
  const std::string text = render_metrics({});
  EXPECT_THAT(text, HasSubstr("# TYPE hairpind_mismatches_total counter\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE hairpind_pending_syns gauge\n"));
}

}  // namespace
}  // namespace hairpind
