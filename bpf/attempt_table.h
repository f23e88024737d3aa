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
 * Whoever finds an attempt holds on to its place until it is done with it: a place is taken again
 * only when nobody holds it, so that what is written and judged is the attempt that was found,
 * whatever has become of it meanwhile. Find functions hand out held attempts: release() each.
 *
 * How a new attempt gets its place and its word: attempt_places.h.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "accounts.h"
#include "address_filter.h"
#include "hairpind/abi.h"
#include "isn_tags.h"
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

/* Tests make the time between two steps long, in which another CPU may do anything
 * (tests/bpf/reuse_stress_test.cpp). */
#ifdef HP_WIDE_WINDOWS
static long wait_until(__u32 turn, __u64 *until)
{
	return bpf_ktime_get_ns() >= *until;
}

/* Now and then, and long enough for another CPU to do several things. */
static __always_inline void window(void)
{
	__u64 until = bpf_ktime_get_ns() + HP_WIDE_WINDOWS;

	if (bpf_get_prandom_u32() & 1)
		bpf_loop(100000, wait_until, &until, 0);
}
#else
#define window()
#endif

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
	return attempt->place & (HP_HOLDER - 1);
}

#define HOLDERS (HP_IN_USE - HP_HOLDER)

static __always_inline bool is_held(const struct hp_attempt *attempt)
{
	return attempt->place & HOLDERS;
}

/* More at once than there are CPUs to hold it would run into HP_IN_USE. The result is used: only
 * then the kernel orders it before what is read next, on every machine. */
static __always_inline bool hold(struct hp_attempt *attempt)
{
	if ((__sync_fetch_and_add(&attempt->place, HP_HOLDER) & HOLDERS) < HOLDERS / 2)
		return true;
	__sync_fetch_and_sub(&attempt->place, HP_HOLDER);
	return false;
}

static __always_inline void release(struct hp_attempt *attempt)
{
	__sync_fetch_and_sub(&attempt->place, HP_HOLDER);
}

/* What was found is not what is wanted. */
static __always_inline struct hp_attempt *unwanted(struct hp_attempt *attempt)
{
	release(attempt);
	return NULL;
}

/* Is that still, or again, a place's word? Whether it is decided does not matter. */
static __always_inline bool is_same_word(const __u64 *now, __u64 seen)
{
	__u64 word = *(const volatile __u64 *)now;

	return state_of(word) != HP_ATTEMPT_NONE && !((word ^ seen) << 2);
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

/* The attempt, or alias, of exactly this name, held. */
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
		if (!attempt || !same_key(&attempt->key, key) || !hold(attempt))
			continue;
		/* From here on the place is nobody else's; it may have become so just before. */
		if (is_same_word(&set->words[way], word) && same_key(&attempt->key, key)) {
			window();
			return attempt;
		}
		release(attempt);
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

/* Aliases and what the network sent are kept like undecided attempts; an alias is nobody's. */
static __always_inline void account_decided(__u32 flags)
{
	if (!(flags & HP_ALIAS))
		__sync_fetch_and_sub(&account_of(flags)->attempts, ONE_UNDECIDED);
}

/* Its ACK is not looked for any longer. */
static __always_inline void untag(struct hp_attempt *attempt)
{
	__u32 flags = attempt->flags;

	if (!(flags & HP_TAGGED) ||
	    !(__sync_fetch_and_and(&attempt->flags, ~HP_TAGGED) & HP_TAGGED))
		return;
	__sync_fetch_and_sub(&account_of(flags)->attempts, ONE_TAGGED);
	untag_ack(attempt->key.isn);
}

/* False if it is another's turn: the attempt is not, or no longer, in state `from`. */
static __noinline bool change_state(const struct hp_attempt *attempt, enum hp_attempt_state from,
				    enum hp_attempt_state to)
{
	struct hp_index_set *set = set_of(&attempt->key);
	__u64 seen = make_word(attempt->key.isn, index_of(attempt), from);
	__u64 next = to == HP_ATTEMPT_NONE ? 0 : make_word(attempt->key.isn, index_of(attempt), to);

	if (!set || __sync_val_compare_and_swap(&set->words[attempt->way % HP_INDEX_WAYS], seen,
						next) != seen)
		return false;
	if (from == HP_ATTEMPT_UNDECIDED)
		account_decided(attempt->flags);
	return true;
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

/* Out of the index: nobody finds it any more. */
static __always_inline bool leave(struct hp_attempt *attempt, enum hp_attempt_state from)
{
	if (!change_state(attempt, from, HP_ATTEMPT_NONE))
		return false;
	untag(attempt);
	return true;
}

/* And its place is free. */
static __always_inline bool drop(struct hp_attempt *attempt, enum hp_attempt_state from)
{
	if (!leave(attempt, from))
		return false;
	free_place(attempt);
	return true;
}

/* Whatever it has come to. */
static __noinline int forget(struct hp_attempt *attempt)
{
	return drop(attempt, HP_ATTEMPT_UNDECIDED) || drop(attempt, HP_ATTEMPT_DECIDED);
}
