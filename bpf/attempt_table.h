/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where attempts are kept (layout in abi.h): a ring of places, taken in turn but for those in use,
 * and an index by key. Not in the kernel's LRU hash, where a single update costs more than all the
 * rest of a SYN: here each step is a few loads and stores in memory that an inlined array look-up
 * gives. Places in turn, and not by hash: the next one is on a page, and often in a line, that the
 * last ones have brought into the caches.
 *
 * Exactly once: an attempt is decided by whoever changes its word from undecided to decided.
 * Compare-and-exchange (5.12) succeeds for one caller only, so that TC programs, tracepoints and
 * the sweep on other CPUs can never count an attempt twice or both ways.
 *
 * When all is in use, the next in the ring goes, decided ones first: of those only a late
 * retransmit would tell. Who still holds a pointer to it may write a flag into its successor, as
 * with the kernel's LRU maps.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "address_filter.h"
#include "hairpind/abi.h"
#include "maps.h"

/* BPF_F_MMAPABLE for its side effect: values begin on a page, so that a set is one cache line. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ATTEMPTS); /* agent */
	__type(key, __u32);
	__type(value, struct hp_attempt);
} attempts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, INDEX_SETS); /* agent */
	__type(key, __u32);
	__type(value, struct hp_index_set);
} attempt_index SEC(".maps");

/* Together in one line, which each attempt needs. */
__u32 next_place;
__u32 freed_place;	/* one more than a place that has lately become free; 0 if there is none */
__u32 attempts_changed; /* the agent's to compare: has there been any attempt? */

/*
 * Nearly all packets are nobody's who has ever called a load balancer; for them one load from two
 * hot kilobytes stands for the index. Bits are only ever set: addresses of pods long gone cost
 * look-ups, no more.
 */
static __u64 client_filter[HP_ADDRESS_FILTER_BITS / 64];

static __always_inline bool may_be_client(const struct hp_address *address)
{
	return filter_has(client_filter, address);
}

/* Code that a packet finds cold costs more than a loop: each line of it has to come from memory,
 * too. */
#define SMALL_CODE _Pragma("clang loop unroll(disable)")

static __always_inline bool same_address(const struct hp_address *a, const struct hp_address *b)
{
	return a->word[3] == b->word[3] && a->word[2] == b->word[2] && a->word[1] == b->word[1] &&
	       a->word[0] == b->word[0];
}

static __always_inline bool same_key(const struct hp_attempt_key *a, const struct hp_attempt_key *b)
{
	return a->isn == b->isn && a->port == b->port && same_address(&a->client, &b->client);
}

static __always_inline enum hp_attempt_state state_of(__u64 word)
{
	return word >> 62;
}

static __always_inline __u32 place_of(__u64 word)
{
	return word >> 32 & ((1U << 28) - 1);
}

static __always_inline __u64 make_word(__u32 isn, __u32 place, enum hp_attempt_state state)
{
	return isn | (__u64)place << 32 | (__u64)state << 62;
}

static __always_inline bool is_in_use(const struct hp_attempt *attempt)
{
	return attempt->place & HP_IN_USE;
}

static __always_inline __u32 index_of(const struct hp_attempt *attempt)
{
	return attempt->place & ~HP_IN_USE;
}

static __always_inline struct hp_attempt *attempt_at(__u32 place)
{
	return bpf_map_lookup_elem(&attempts, &place);
}

static __always_inline struct hp_index_set *set_of(const struct hp_attempt_key *key)
{
	const struct hp_address *client = &key->client;
	__u64 mixed = (__u64)key->isn << 32 |
		      (client->word[0] ^ client->word[1] ^ client->word[2] ^ client->word[3]);
	__u32 index;

	/* 2^64 over the golden ratio (Knuth, The Art of Computer Programming, 6.4). */
	mixed = (mixed ^ hash_seed) * 0x9e3779b97f4a7c15ULL;
	mixed = (mixed ^ mixed >> 32 ^ key->port) * 0x9e3779b97f4a7c15ULL;
	index = (mixed >> 32) * index_sets >> 32;
	return bpf_map_lookup_elem(&attempt_index, &index);
}

/* The attempt, or alias, of exactly this name. */
static __always_inline struct hp_attempt *find_in(const struct hp_index_set *set,
						  const struct hp_attempt_key *key)
{
	SMALL_CODE
	for (int way = 0; way < HP_INDEX_WAYS; way++) {
		__u64 word = set->words[way];
		struct hp_attempt *attempt;

		if ((__u32)word != key->isn || state_of(word) == HP_ATTEMPT_NONE)
			continue;
		attempt = attempt_at(place_of(word));
		if (attempt && same_key(&attempt->key, key))
			return attempt;
	}
	return NULL;
}

static __noinline struct hp_attempt *find_exactly(const struct hp_attempt_key *key)
{
	const struct hp_index_set *set;

	if (!may_be_client(&key->client))
		return NULL;
	set = set_of(key);
	return set ? find_in(set, key) : NULL;
}

/* False if it is another's turn: the attempt is not, or no longer, in state `from`. */
static __always_inline bool change_state(const struct hp_attempt *attempt,
					 enum hp_attempt_state from, enum hp_attempt_state to)
{
	struct hp_index_set *set = set_of(&attempt->key);
	__u64 seen = make_word(attempt->key.isn, index_of(attempt), from);
	__u64 next = to == HP_ATTEMPT_NONE ? 0 : make_word(attempt->key.isn, index_of(attempt), to);

	return set && __sync_val_compare_and_swap(&set->words[attempt->way % HP_INDEX_WAYS], seen,
						  next) == seen;
}

static __always_inline bool decide(const struct hp_attempt *attempt)
{
	return change_state(attempt, HP_ATTEMPT_UNDECIDED, HP_ATTEMPT_DECIDED);
}

static __always_inline void free_place(struct hp_attempt *attempt)
{
	__sync_fetch_and_and(&attempt->place, ~HP_IN_USE);
	freed_place = index_of(attempt) + 1;
}

/* Out of the index, its place is free. */
static __always_inline bool drop(struct hp_attempt *attempt, enum hp_attempt_state from)
{
	if (!change_state(attempt, from, HP_ATTEMPT_NONE))
		return false;
	free_place(attempt);
	return true;
}

/* Whatever it has come to. */
static __noinline int forget(struct hp_attempt *attempt)
{
	return drop(attempt, HP_ATTEMPT_UNDECIDED) || drop(attempt, HP_ATTEMPT_DECIDED);
}

static __always_inline bool claim(struct hp_attempt *attempt)
{
	return !is_in_use(attempt) &&
	       !(__sync_fetch_and_or(&attempt->place, HP_IN_USE) & HP_IN_USE);
}

/* The place, with whoever had it out of the index. */
static __always_inline bool take_over(const struct hp_attempt *attempt)
{
	return change_state(attempt, HP_ATTEMPT_DECIDED, HP_ATTEMPT_NONE) ||
	       change_state(attempt, HP_ATTEMPT_UNDECIDED, HP_ATTEMPT_NONE);
}

/* HP_IN_USE must not be zero even for a moment: another CPU may be trying to claim the place. */
static __always_inline void clear(struct hp_attempt *attempt)
{
	const __u32 behind = offsetof(struct hp_attempt, place) + sizeof(attempt->place);

	__builtin_memset(attempt, 0, offsetof(struct hp_attempt, place));
	__builtin_memset((void *)attempt + behind, 0, sizeof(*attempt) - behind);
}

/* How many places in use are looked at before one has to go. Not a divisor of a table's size: in a
 * full one it is each place's turn. */
#define PLACES_TRIED 5

/*
 * A place for an attempt of this name, all else zero; nobody finds it before it is published. NULL,
 * and counted, if there is none.
 */
static __always_inline struct hp_attempt *take_place(const struct hp_attempt_key *key)
{
	struct hp_attempt *attempt;
	__u32 place, victim = 0;
	bool decided = false;

	attempts_changed++;
	SMALL_CODE
	for (int i = 0; i < PLACES_TRIED; i++) {
		/* The caches still have the one that an answered attempt has just left. */
		__u32 freed = freed_place ? __sync_lock_test_and_set(&freed_place, 0) : 0;

		place = freed ? freed - 1 : __sync_fetch_and_add(&next_place, 1) % attempt_places;
		attempt = attempt_at(place);
		if (attempt && claim(attempt))
			goto taken;
		if (attempt && !decided) {
			victim = place;
			decided = attempt->flags & (HP_MISMATCHED | HP_UNANSWERED | HP_ANSWERED);
		}
	}
	place = victim;
	attempt = attempt_at(place);
	if (!attempt || !take_over(attempt)) {
		count(HP_TOTAL_PENDING_FAILED);
		return NULL;
	}
taken:
	clear(attempt);
	attempt->key = *key;
	attempt->place = place | HP_IN_USE;
	return attempt;
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

#define PUBLISH_TRIES 4

/* From now on it is found. False, and counted, if other CPUs are faster again and again. */
static __always_inline bool publish(struct hp_index_set *set, struct hp_attempt *attempt)
{
	filter_add(client_filter, &attempt->key.client);
	SMALL_CODE
	for (int i = 0; i < PUBLISH_TRIES; i++) {
		__s64 rank = highest_rank(set, index_of(attempt));
		__u32 way = rank % HP_INDEX_WAYS;
		__u64 seen = set->words[way];
		struct hp_attempt *ousted;

		attempt->way = way;
		/* Another attempt may have got it between the two looks. */
		if (rank_of(seen, way, index_of(attempt)) != rank)
			continue;
		if (__sync_val_compare_and_swap(&set->words[way], seen,
						make_word(attempt->key.isn, index_of(attempt),
							  HP_ATTEMPT_UNDECIDED)) != seen)
			continue;
		ousted = state_of(seen) != HP_ATTEMPT_NONE ? attempt_at(place_of(seen)) : NULL;
		if (ousted)
			free_place(ousted);
		return true;
	}
	free_place(attempt);
	count(HP_TOTAL_PENDING_FAILED);
	return false;
}
