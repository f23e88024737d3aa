/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The veto (S5) where this side cannot find out by itself: no kfunc, or Cilium's own table beside
 * netfilter's. The sweep asks the agent, for attempts that only the veto can still clear.
 */
#pragma once

#include "pending.h"
#include "verdict.h"

/* A handshake that is still on its way is no candidate: its answer would be. */
#define IN_FLIGHT_NS 100000000ULL

/* Is there somebody left to ask? Beside Cilium, no entry in netfilter is not the last word. */
static __always_inline bool conntrack_is_open(const struct hp_attempt *attempt)
{
	if (attempt->conntrack == HP_CONNTRACK_UNCHECKED)
		return true;
	return ask_conntrack && attempt->conntrack == HP_CONNTRACK_NO_ENTRY &&
	       attempt->conntrack_source == HP_CONNTRACK_SOURCE_KERNEL;
}

/* Whose wrong answer it is about, NULL if there is none that a table could clear. */
static __always_inline const struct hp_endpoint *asked_about(const struct hp_attempt *attempt)
{
	if (attempt->flags & HP_SYNACK_LEFT)
		return &attempt->synack_sent;
	if (!(attempt->flags & HP_SYNACK_PASSED))
		return NULL;
	return attempt->flags & HP_SYNACK_ARRIVED ? &attempt->synack_sent
						  : &attempt->synack_delivered;
}

/*
 * Asks, once, and gives the agent until the next sweep to answer: it does so right after this one.
 * A question that finds no room is put again at the next sweep, for another settle time at most.
 */
static __always_inline bool awaits_conntrack(struct hp_attempt *attempt, __u64 now)
{
	__u64 age = now - attempt->first_ns;

	if (!ask_conntrack || !conntrack_is_open(attempt) || !asked_about(attempt) ||
	    (attempt->flags & (HP_ANSWER_ARRIVED | HP_TRANSLATED | HP_CONNTRACK_ASKED)))
		return false;
	if (age < handshake_timeout_ns && attempt->synack_ns + IN_FLIGHT_NS > now)
		return false;
	if (!emit(HP_EVENT_CONNTRACK, now, attempt))
		return age < 2 * handshake_timeout_ns;
	set_flag(attempt, HP_CONNTRACK_ASKED);
	return true;
}

static __always_inline int clear_by_conntrack(const struct hp_conntrack_answer *answer,
					      struct hp_attempt *attempt)
{
	struct hp_address responder = answer->responder.address;
	struct ending ending = {};
	const struct hp_endpoint *asked;
	bool is_translated;

	if (attempt->flags & (HP_ALIAS | HP_TRANSLATED | HP_MISMATCHED))
		return 0;
	asked = asked_about(attempt);
	if (!asked || !is_endpoint(asked, &responder, answer->responder.port))
		return 0;
	attempt->conntrack = answer->conntrack;
	attempt->conntrack_source = answer->conntrack_source;
	is_translated = answer->conntrack == HP_CONNTRACK_TRANSLATED;
	if (is_translated) {
		set_flag(attempt, HP_TRANSLATED);
		COUNT_LB(attempt, translations);
	}
	/*
	 * Either the client has got it as it was all the same, or the datapath that could still
	 * have changed it would have done so by now.
	 */
	if (is_translated ? attempt->flags & HP_SYNACK_DELIVERED
			  : (attempt->flags & HP_SYNACK_PASSED) &&
				answer->conntrack_source == HP_CONNTRACK_SOURCE_CILIUM)
		return conclude_misdirected(attempt, &ending);
	return 0;
}

static __always_inline int take_conntrack_answer(const struct hp_conntrack_answer *answer)
{
	struct hp_attempt_key key = answer->key;
	struct hp_attempt *attempt = find_exactly(&key);

	if (!attempt)
		return 0;
	clear_by_conntrack(answer, attempt);
	release(attempt);
	return 0;
}
