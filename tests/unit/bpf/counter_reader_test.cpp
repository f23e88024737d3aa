// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/counter_reader.hpp"

#include <gtest/gtest.h>

#include <array>

namespace hairpind {
namespace {

const Endpoint kLb{.address = *IpAddress::parse("10.0.5.5"), .port = 443};

TEST(DecodeIncident, WhatIsNotWholeOrNotKnownIsNoIncident) {
  hp_incident_key key{};
  key.lb = kLb.to_abi();
  key.cause = HP_CAUSE_HAIRPIN_IP_TARGET;
  hp_incident incident{};
  incident.count = 3;
  EXPECT_FALSE(decode_incident(key, incident)) << "counted, its first example not written yet";
  incident.example.lb = kLb.to_abi();
  const auto decoded = decode_incident(key, incident);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->key.load_balancer, kLb);
  EXPECT_EQ(decoded->key.cause, Cause::kHairpinIpTarget);
  EXPECT_EQ(decoded->count, 3);
  key.cause = HP_CAUSE_COUNT;
  EXPECT_FALSE(decode_incident(key, incident));
}

TEST(DecodeLoadBalancers, TheFirstIsTheRestAndAnotherWithoutANameIsNotThere) {
  std::array<hp_lb_counters, 3> rows{};
  rows[0].syns = 1;
  rows[1].syns = 2;
  rows[2].lb = kLb.to_abi();
  rows[2].syns = 3;
  rows[2].mismatches[HP_CAUSE_HAIRPIN_NODE_PORT] = 4;
  rows[2].latency_ns = 5;
  const auto decoded = decode_load_balancers(rows);
  ASSERT_EQ(decoded.size(), 2);
  EXPECT_TRUE(decoded[0].load_balancer.empty());
  EXPECT_EQ(decoded[0].syns, 1);
  EXPECT_EQ(decoded[1].load_balancer, kLb);
  EXPECT_EQ(decoded[1].mismatches.at(HP_CAUSE_HAIRPIN_NODE_PORT), 4);
  EXPECT_EQ(decoded[1].latency_sum.count(), 5);
}

}  // namespace
}  // namespace hairpind
