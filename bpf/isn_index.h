/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Attempts by their ISN alone, where names have been changed on the way. */
#pragma once

#include "attempt_table.h"

/*
 * From an ISN to the newest attempts that have it: how a SYN that the node's SNAT renamed is
 * recognized where it leaves, right after, and the masqueraded SYN-ACK of one that has come back,
 * which is written again then. By the ISN's low bits, two each, and without a lock: what is stale
 * names an attempt that does not match. Two pages, since each attempt writes here.
 */
#define ISN_INDEX_SIZE 512
static __u64 isn_index[ISN_INDEX_SIZE][2];

static __always_inline void index_isn(__u32 isn, __u32 place, enum hp_attempt_state state)
{
	__u64 *newest = isn_index[isn % ISN_INDEX_SIZE];
	__u64 word = make_word(isn, place, state);

	if (newest[0] == word)
		return;
	newest[1] = newest[0];
	newest[0] = word;
}

static __always_inline __u64 word_of_isn(__u32 isn)
{
	const __u64 *newest = isn_index[isn % ISN_INDEX_SIZE];
	__u64 word = (__u32)newest[0] == isn ? newest[0] : newest[1];

	return (__u32)word == isn ? word : 0;
}

/* A SYN that found no place has its ISN here too, as decided: whatever name the node gives it on
 * its way out, it is not the node's own. */
static __always_inline bool is_given_up(__u32 isn)
{
	return state_of(word_of_isn(isn)) == HP_ATTEMPT_DECIDED;
}

static __noinline struct hp_attempt *find_by_word(__u32 isn, __u64 word)
{
	const struct hp_index_set *set;
	struct hp_attempt *attempt;

	attempt = attempt_at(place_of(word));
	if (!attempt || attempt->key.isn != isn || !is_in_use(attempt) || !hold(attempt))
		return NULL;
	/* What says so is stale, perhaps; the index knows. */
	set = set_of(&attempt->key);
	if (set && is_same_word(&set->words[attempt->way % HP_INDEX_WAYS], word) &&
	    !(attempt->flags & HP_ALIAS)) {
		window();
		return attempt;
	}
	return unwanted(attempt);
}

/*
 * The attempt with this ISN, held, under whatever name its packets go now: the node's SNAT may have
 * renamed them. Callers check what they know of the attempt.
 */
static __always_inline struct hp_attempt *find_by_isn(__u32 isn)
{
	__u64 word = word_of_isn(isn);

	return state_of(word) == HP_ATTEMPT_UNDECIDED ? find_by_word(isn, word) : NULL;
}
