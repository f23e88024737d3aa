// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/conntrack.hpp"

#include <gtest/gtest.h>

#include "attempts.hpp"

namespace hairpind {
namespace {

using testing::endpoint;

TEST(ConntrackQuery, AsksForTheResponderThatWouldBeTranslated) {
  Attempt attempt;
  attempt.client = endpoint("10.0.1.10", 40000);
  attempt.load_balancer = endpoint("10.0.5.5", 443);
  EXPECT_TRUE(ConntrackQuery::of(attempt).responder.empty());
  // By a node port the client is answered from there, after the node's translation of the pod's own SYN-ACK.
  attempt.responder = endpoint("10.0.0.4", 30443);
  EXPECT_EQ(ConntrackQuery::of(attempt).responder, endpoint("10.0.0.4", 30443));
  attempt.synack_sent = endpoint("10.0.1.20", 8443);
  const ConntrackQuery query = ConntrackQuery::of(attempt);
  EXPECT_EQ(query.responder, endpoint("10.0.1.20", 8443));
  EXPECT_EQ(query.client, attempt.client);
  EXPECT_EQ(query.load_balancer, attempt.load_balancer);
}

}  // namespace
}  // namespace hairpind
