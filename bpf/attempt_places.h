/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a new attempt gets a place in the ring, and a word in the index by which it is found
 * (attempt_table.h).
 *
 * When all is in use, one of the next in the ring goes, decided ones first: of those only a late
 * retransmit would tell. Of the undecided, one of those whose device has the most (accounts.h): who
 * floods the table takes his own attempts' places.
 */
#pragma once

#include "attempt_table.h"

/* Neither taken nor held. */
static __always_inline bool claim(struct hp_attempt *attempt, __u32 place)
{
	__u32 seen = attempt->place;

	return !(seen & (HP_IN_USE | HOLDERS)) &&
	       __sync_val_compare_and_swap(&attempt->place, seen, place | HP_IN_USE) == seen;
}

static __always_inline void count_evicted(__u32 flags, __u32 ifindex)
{
	if (flags & HP_ALIAS)
		return;
	count(HP_TOTAL_UNDECIDED_EVICTED);
	crowding_device = flags & HP_UNSOLICITED ? 0 : ifindex;
}

/* The place, still in use, with whoever had it out of the index. */
static __always_inline bool take_over(struct hp_attempt *attempt)
{
	if (!leave(attempt, HP_ATTEMPT_DECIDED)) {
		if (!leave(attempt, HP_ATTEMPT_UNDECIDED))
			return false;
		count_evicted(attempt->flags, attempt->syn_ifindex);
	}
	/* Whoever holds it from now on does not find its word any more. */
	if (!is_held(attempt))
		return true;
	__sync_fetch_and_and(&attempt->place, ~HP_IN_USE);
	return false;
}

/* What another CPU, which still goes by an old word, holds it by must stay. */
static __always_inline void clear(struct hp_attempt *attempt)
{
	const __u32 behind = offsetof(struct hp_attempt, place) + sizeof(attempt->place);

	__builtin_memset(attempt, 0, offsetof(struct hp_attempt, place));
	__builtin_memset((void *)attempt + behind, 0, sizeof(*attempt) - behind);
}

#define SETTLED_WEIGHT	   (1LL << 32)
#define UNSOLICITED_WEIGHT (SETTLED_WEIGHT - 1)

/* How easily what is kept may go for something new: by how many undecided ones its device has,
 * last. */
static __always_inline __s64 weight_of(const struct hp_attempt *attempt, __u64 now)
{
	__u32 flags = attempt->flags;

	if (flags & (HP_MISMATCHED | HP_UNANSWERED | HP_ANSWERED))
		return SETTLED_WEIGHT;
	/* Its attempt is most likely undecided for as long. */
	if ((flags & HP_ALIAS) && now - attempt->last_ns >= handshake_timeout_ns &&
	    attempt->last_ns < now)
		return SETTLED_WEIGHT;
	return flags & HP_UNSOLICITED ? UNSOLICITED_WEIGHT : undecided_of(flags);
}

/* What is new makes nobody go who has less: of what the network sends, no attempt at all. */
static __always_inline __s64 own_weight(__u32 flags)
{
	return flags & HP_UNSOLICITED ? UNSOLICITED_WEIGHT : undecided_of(flags);
}

/* How many places in use are looked at before one has to go. Not a divisor of a table's size: in a
 * full one it is each place's turn. */
#define PLACES_TRIED 5

/*
 * A place for an attempt of this name, first seen at last_ns on this device, with these flags; all
 * else zero. Nobody finds it before it is published. Negative, and counted, if there is none. Like
 * what follows a global function, which the verifier reads once and not for each of its callers.
 */
__noinline int find_place(const struct hp_attempt_key *key, __u32 flags, __u32 ifindex, __u64 now)
{
	struct hp_attempt *attempt;
	__u32 place, victim = 0;
	__s64 heaviest = -1, weight;

	if (!key)
		return -1;
	attempts_changed++;
	SMALL_CODE
	for (int i = 0; i < PLACES_TRIED; i++) {
		/* The caches still have the one that an answered attempt has just left. */
		__u32 freed = freed_place ? __sync_lock_test_and_set(&freed_place, 0) : 0;

		place = freed ? freed - 1 : __sync_fetch_and_add(&next_place, 1) % attempt_places;
		attempt = attempt_at(place);
		if (attempt && claim(attempt, place))
			goto taken;
		/* Who was freed and is taken again is new. */
		if (freed || !attempt || is_held(attempt))
			continue;
		weight = weight_of(attempt, now);
		if (weight > heaviest) {
			victim = place;
			heaviest = weight;
		}
	}
	if (heaviest >= 0 && heaviest < own_weight(flags)) {
		count_evicted(flags, ifindex);
		return -1;
	}
	place = victim;
	attempt = attempt_at(place);
	if (heaviest < 0 || !attempt || !take_over(attempt)) {
		count(HP_TOTAL_PENDING_FAILED);
		return -1;
	}
taken:
	clear(attempt);
	attempt->key = *key;
	attempt->flags = flags;
	attempt->syn_ifindex = ifindex;
	attempt->last_ns = now;
	return place;
}

static __always_inline struct hp_attempt *take_place(const struct hp_attempt_key *key, __u32 flags,
						     __u32 ifindex, __u64 now)
{
	int place = find_place(key, flags, ifindex, now);

	return place >= 0 ? attempt_at(place) : NULL;
}

/*
 * How easily a new attempt may have this word: a free one, else a decided attempt's; among equals
 * that which is farthest behind in the ring, mostly the oldest. The way is in the lowest bits.
 */
static __always_inline __s64 rank_of(__u64 word, __u32 way, __u32 place)
{
	/* By hp_attempt_state, four bits each: 3, 1, 2. */
	__u64 rank = 0x213 >> state_of(word) * 4 & 0xf;
	__u64 behind = (place - place_of(word)) & ((1U << 28) - 1);

	return (rank << 28 | behind) * HP_INDEX_WAYS + way;
}

/* Without branches, of which the verifier would follow each combination. */
static __always_inline __s64 highest_rank(const struct hp_index_set *set, __u32 place)
{
	__s64 highest = 0;

	SMALL_CODE
	for (int way = 0; way < HP_INDEX_WAYS; way++) {
		__s64 over = highest - rank_of(set->words[way], way, place);

		/* Else the compiler finds a maximum, and makes a branch of it. */
		asm volatile("" : "+r"(over));
		highest -= over & over >> 63;
	}
	return highest;
}

/*
 * The same where all eight are undecided, as one in fifty sets of a table that a flood has filled:
 * whose device has the most, or HP_INDEX_WAYS if each has less than the new one's.
 */
__noinline int heaviest_way(const struct hp_index_set *set, __u32 flags, __u64 now)
{
	__s64 heaviest = own_weight(flags), weight;
	int way = HP_INDEX_WAYS;

	if (!set)
		return way;

	SMALL_CODE
	for (int i = 0; i < HP_INDEX_WAYS; i++) {
		const struct hp_attempt *attempt = attempt_at(place_of(set->words[i]));

		if (!attempt)
			continue;
		weight = weight_of(attempt, now);
		if (weight >= heaviest) {
			heaviest = weight;
			way = i;
		}
	}
	return way;
}

/* Who has lost his word to another. */
__noinline int oust(__u64 word)
{
	struct hp_attempt *attempt = attempt_at(place_of(word));

	if (!attempt)
		return 0;
	if (state_of(word) == HP_ATTEMPT_UNDECIDED) {
		account_decided(attempt->flags);
		count_evicted(attempt->flags, attempt->syn_ifindex);
	}
	untag(attempt);
	free_place(attempt);
	return 0;
}

#define PUBLISH_TRIES 4

/*
 * From now on it is found, and another's to drop: the caller must not touch it any more. False, and
 * counted, if there is no room, or other CPUs are faster again and again.
 */
__noinline int publish_place(struct hp_index_set *set, __u32 place)
{
	struct hp_attempt *attempt = attempt_at(place);
	bool crowded = false;
	__u32 flags;
	__u64 own;

	if (!set || !attempt)
		return false;
	flags = attempt->flags;
	own = (flags & HP_ALIAS ? 0 : ONE_UNDECIDED) + (flags & HP_TAGGED ? ONE_TAGGED : 0);
	filter_add(client_filter, &attempt->key.client);
	__sync_fetch_and_add(&account_of(flags)->attempts, own);
	SMALL_CODE
	for (int i = 0; i < PUBLISH_TRIES && !crowded; i++) {
		__s64 rank = highest_rank(set, place);
		__u32 way = rank % HP_INDEX_WAYS;
		__u64 seen = set->words[way];

		/* Another attempt may have got it between the two looks. */
		if (rank_of(seen, way, place) != rank)
			continue;
		if (state_of(seen) == HP_ATTEMPT_UNDECIDED) {
			way = heaviest_way(set, flags, attempt->last_ns);
			crowded = way >= HP_INDEX_WAYS;
			way %= HP_INDEX_WAYS;
			seen = set->words[way];
			if (crowded || state_of(seen) == HP_ATTEMPT_NONE)
				continue;
		}
		attempt->way = way;
		if (__sync_val_compare_and_swap(
			&set->words[way], seen,
			make_word(attempt->key.isn, place, HP_ATTEMPT_UNDECIDED)) != seen)
			continue;
		if (state_of(seen) != HP_ATTEMPT_NONE)
			oust(seen);
		return true;
	}
	__sync_fetch_and_sub(&account_of(flags)->attempts, own);
	if (crowded)
		count_evicted(flags, attempt->syn_ifindex);
	else
		count(HP_TOTAL_PENDING_FAILED);
	free_place(attempt);
	return false;
}

static __always_inline bool publish(struct hp_index_set *set, const struct hp_attempt *attempt)
{
	return publish_place(set, index_of(attempt));
}
