// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/event.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "attempts.hpp"

namespace hairpind {
namespace {

using testing::endpoint;

hp_event raw_event() {
  hp_event event{};
  event.kind = HP_EVENT_MISMATCH;
  event.time_ns = 77;
  event.attempt.key = {.client = endpoint("10.0.1.10", 0).address.to_abi(),
                       .isn = 5,
                       .port = endpoint("::", 40000).to_abi().port,
                       .pad = 0};
  event.attempt.lb = endpoint("10.0.5.5", 443).to_abi();
  event.attempt.returned = endpoint("10.0.0.4", 30443).to_abi();
  event.attempt.synack_sent = endpoint("10.0.1.20", 8443).to_abi();
  event.attempt.synack_delivered = endpoint("10.0.0.4", 30443).to_abi();
  event.attempt.flags = HP_RETURNED | HP_SYNACK_LEFT | HP_SYNACK_DELIVERED | HP_HOST_CLIENT;
  event.attempt.cause = HP_CAUSE_HAIRPIN_NODE_PORT;
  event.attempt.outcome = HP_OUTCOME_DROPPED;
  event.attempt.conntrack = HP_CONNTRACK_NO_ENTRY;
  event.attempt.conntrack_source = HP_CONNTRACK_SOURCE_KERNEL;
  event.attempt.responder_kind = HP_RESPONDER_NODE;
  std::strcpy(event.drop_symbol, "nf_hook_slow");
  return event;
}

std::span<const std::byte> bytes_of(const hp_event& event) {
  return std::as_bytes(std::span(&event, 1));
}

TEST(DecodeEvent, TakesEverythingAcross) {
  const auto event = decode_event(bytes_of(raw_event()));
  ASSERT_TRUE(event) << event.error();
  EXPECT_EQ(event->kind, EventKind::kMismatch);
  EXPECT_EQ(event->time, SinceBoot(77));
  EXPECT_EQ(event->drop_symbol, "nf_hook_slow");
  const Attempt& attempt = event->attempt;
  EXPECT_EQ(attempt.client, endpoint("10.0.1.10", 40000));
  EXPECT_EQ(attempt.isn, 5);
  EXPECT_EQ(attempt.load_balancer, endpoint("10.0.5.5", 443));
  EXPECT_EQ(attempt.responder, endpoint("10.0.0.4", 30443));
  EXPECT_EQ(attempt.synack_sent, endpoint("10.0.1.20", 8443));
  EXPECT_TRUE(attempt.host_client);
  EXPECT_FALSE(attempt.learned);
  EXPECT_EQ(attempt.cause, Cause::kHairpinNodePort);
  EXPECT_EQ(attempt.outcome, Outcome::kDropped);
  EXPECT_EQ(attempt.conntrack, Conntrack::kNoEntry);
  EXPECT_EQ(attempt.responder_kind, ResponderKind::kNode);
}

TEST(DecodeEvent, RefusesEveryOtherSize) {
  // One longer than the record, so that a read past the end of a shorter one is a read of our own memory.
  std::vector<std::byte> bytes(sizeof(hp_event) + 1);
  const hp_event event = raw_event();
  std::memcpy(bytes.data(), &event, sizeof(event));
  for (std::size_t size = 0; size <= bytes.size(); size++) {
    EXPECT_EQ(decode_event(std::span(bytes).first(size)).has_value(), size == sizeof(hp_event)) << size;
  }
}

TEST(DecodeEvent, AcceptsUnalignedMemory) {
  std::vector<std::byte> bytes(sizeof(hp_event) + 1);
  const hp_event event = raw_event();
  std::memcpy(bytes.data() + 1, &event, sizeof(event));
  EXPECT_TRUE(decode_event(std::span(bytes).subspan(1)));
}

TEST(DecodeEvent, RefusesUnknownKindsAndEnumerators) {
  const auto refused = [](auto change) {
    hp_event event = raw_event();
    change(event);
    return !decode_event(bytes_of(event)).has_value();
  };
  EXPECT_FALSE(refused([](hp_event&) {}));
  EXPECT_FALSE(refused([](hp_event& event) { event.kind = HP_EVENT_OUTCOME; }));
  EXPECT_FALSE(refused([](hp_event& event) { event.kind = HP_EVENT_CONNTRACK; }));
  EXPECT_TRUE(refused([](hp_event& event) { event.kind = 0; }));
  EXPECT_TRUE(refused([](hp_event& event) { event.kind = 99; }));
  EXPECT_TRUE(refused([](hp_event& event) { event.attempt.cause = HP_CAUSE_COUNT; }));
  EXPECT_TRUE(refused([](hp_event& event) { event.attempt.outcome = HP_OUTCOME_COUNT; }));
  EXPECT_TRUE(refused([](hp_event& event) { event.attempt.conntrack = HP_CONNTRACK_COUNT; }));
  EXPECT_TRUE(refused([](hp_event& event) { event.attempt.conntrack_source = HP_CONNTRACK_SOURCE_COUNT; }));
  EXPECT_TRUE(refused([](hp_event& event) { event.attempt.responder_kind = HP_RESPONDER_COUNT; }));
}

TEST(DecodeEvent, SymbolWithoutEndIsCutAtItsField) {
  hp_event event = raw_event();
  std::memset(event.drop_symbol, 'x', sizeof(event.drop_symbol));
  EXPECT_EQ(decode_event(bytes_of(event))->drop_symbol, std::string(HP_SYMBOL_LENGTH, 'x'));
}

TEST(Attempt, WhatTheFlagsDoNotNameWasNotSeen) {
  hp_event event = raw_event();
  event.attempt.flags = 0;
  const auto decoded = decode_event(bytes_of(event));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->attempt.returned.empty());
  EXPECT_TRUE(decoded->attempt.synack_sent.empty());
  EXPECT_TRUE(decoded->attempt.responder.empty());
}

TEST(Attempt, ResponderIsWhatTheClientSees) {
  const auto responder = [](std::uint32_t flags) {
    hp_event event = raw_event();
    event.attempt.synack_delivered = endpoint("10.0.0.5", 1).to_abi();
    event.attempt.flags = flags;
    return decode_event(bytes_of(event)).value().attempt.responder;
  };
  EXPECT_TRUE(responder(0).empty());
  // The SYN came back and nobody answered: there is no responder.
  EXPECT_TRUE(responder(HP_RETURNED).empty());
  EXPECT_EQ(responder(HP_SYNACK_LEFT), endpoint("10.0.1.20", 8443));
  EXPECT_EQ(responder(HP_SYNACK_ARRIVED), endpoint("10.0.1.20", 8443));
  // With a node port the client would have heard it from there, wherever the pod is.
  EXPECT_EQ(responder(HP_RETURNED | HP_SYNACK_LEFT), endpoint("10.0.0.4", 30443));
  EXPECT_EQ(responder(HP_RETURNED | HP_SYNACK_ARRIVED), endpoint("10.0.0.4", 30443));
  EXPECT_EQ(responder(HP_RETURNED | HP_SYNACK_LEFT | HP_SYNACK_DELIVERED), endpoint("10.0.0.5", 1));
}

TEST(Words, AreThoseOfTheContract) {
  EXPECT_EQ(to_string(Cause::kHairpinIpTarget), "hairpin_ip_target");
  EXPECT_EQ(to_string(Cause::kHairpinNodePort), "hairpin_node_port");
  EXPECT_EQ(to_string(Cause::kHairpinHostTarget), "hairpin_host_target");
  EXPECT_EQ(to_string(Cause::kHairpinMartian), "hairpin_martian");
  EXPECT_EQ(to_string(Cause::kHairpinRpFilter), "hairpin_rp_filter");
  EXPECT_EQ(to_string(Cause::kAsymmetricRemote), "asymmetric_remote");
  EXPECT_EQ(to_string(Cause::kUnsolicitedSynAck), "unsolicited_synack");
  EXPECT_EQ(to_string(Outcome::kResetByClient), "reset_by_client");
  EXPECT_EQ(to_string(Outcome::kDropped), "dropped");
  EXPECT_EQ(to_string(Outcome::kCompleted), "completed");
  EXPECT_EQ(to_string(Outcome::kUnknown), "unknown");
  EXPECT_EQ(to_string(Conntrack::kNotTranslated), "not_translated");
  EXPECT_EQ(to_string(Conntrack::kNoEntry), "no_entry");
  EXPECT_EQ(to_string(Conntrack::kUnchecked), "unchecked");
  EXPECT_EQ(to_string(ResponderKind::kLocalPod), "local_pod");
}

}  // namespace
}  // namespace hairpind
