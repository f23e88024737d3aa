/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The settle time of S6, and the end of what is remembered. */
#pragma once

#include "conntrack_question.h"
#include "pending.h"
#include "verdict.h"

struct sweep_state {
	__u64 now_ns;
	__u64 undecided;
	__u64 kept;
};

struct bpf_map;

/* Its SYN came back, and a wrong answer went to its client, which has had time to say something of
 * it: nobody on the way from a load balancer that keeps the source makes that right. */
static __always_inline bool is_lost(const struct hp_attempt *attempt, __u64 now)
{
	return (attempt->flags & (HP_RETURNED | HP_SYNACK_PASSED | HP_ANSWER_ARRIVED |
				  HP_TRANSLATED)) == (HP_RETURNED | HP_SYNACK_PASSED) &&
	       attempt->synack_ns + IN_FLIGHT_NS <= now;
}

/* An answered pod that has heard nothing sends its SYN again: the gap doubles each time, and begins
 * with a second. */
#define FIRST_RETRANSMIT_NS 3000000000ULL

static __always_inline bool is_acknowledged(const struct hp_attempt *attempt, __u64 now)
{
	return now - attempt->last_ns >=
	       FIRST_RETRANSMIT_NS + 2 * (attempt->last_ns - attempt->first_ns);
}

/* A SYN-ACK left a pod here, or passed to_pod, and may have been translated back since: only the
 * client's ACK tells, and it was not to be found among the many of its device. */
static __always_inline bool may_be_acknowledged(const struct hp_attempt *attempt)
{
	return (attempt->flags & (HP_SYNACK_LEFT | HP_SYNACK_PASSED)) &&
	       !(attempt->flags & (HP_RETURNED | HP_TRANSLATED | HP_ANSWER_ARRIVED)) &&
	       (!(attempt->flags & HP_TAGGED) || !may_follow_syn(attempt->key.isn + 1));
}

/* Global: the verifier reads it once, and not for each word of a set. */
__noinline int sweep_attempt(struct hp_attempt *attempt, struct sweep_state *state)
{
	struct ending ending = {};
	__u64 now;

	if (!attempt || !state)
		return 0;
	now = state->now_ns;
	state->kept++;
	/* Seen on another CPU after `now` was read. */
	if (attempt->last_ns > now)
		return 0;
	if (attempt->flags & (HP_ALIAS | HP_UNANSWERED | HP_MISMATCHED)) {
		/* Its ACK comes no more, unless after one more SYN, which would be here by now. */
		if (is_acknowledged(attempt, now))
			untag(attempt);
		if (now - attempt->last_ns >= RETRANSMIT_WINDOW_NS)
			forget(attempt);
		return 0;
	}
	/* Mostly its ACK has been missed. */
	if (attempt->flags & HP_ANSWERED) {
		if (is_acknowledged(attempt, now))
			forget(attempt);
		return 0;
	}
	if (attempt->flags & HP_UNSOLICITED) {
		if (now - attempt->first_ns >= handshake_timeout_ns)
			forget(attempt);
		return 0;
	}
	if (is_lost(attempt, now))
		return conclude_misdirected(attempt, &ending);
	if (awaits_conntrack(attempt, now) || now - attempt->first_ns < handshake_timeout_ns) {
		state->undecided++;
		return 0;
	}
	/* Translated by this node or answered by the LB, and the client has never acknowledged it:
	 * lost on the way, but not misdirected. */
	if (may_be_acknowledged(attempt)) {
		count(HP_TOTAL_ACK_UNWATCHED);
		conclude_unanswered(attempt);
	} else if ((attempt->flags & (HP_RETURNED | HP_SYNACK_LEFT | HP_SYNACK_PASSED)) &&
		   !(attempt->flags & (HP_TRANSLATED | HP_ANSWER_ARRIVED)) && is_believed(attempt))
		conclude_misdirected(attempt, &ending);
	else
		conclude_unanswered(attempt);
	return 0;
}

static long sweep_set(struct bpf_map *map, const __u32 *index, struct hp_index_set *set,
		      struct sweep_state *state)
{
	for (int way = 0; way < HP_INDEX_WAYS; way++) {
		__u64 word = set->words[way];
		struct hp_attempt *attempt;

		if (state_of(word) == HP_ATTEMPT_NONE)
			continue;
		attempt = attempt_at(place_of(word));
		if (!attempt || !hold(attempt))
			continue;
		if (is_same_word(&set->words[way], word)) {
			window();
			sweep_attempt(attempt, state);
		}
		release(attempt);
	}
	return 0;
}
