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
 * When all is in use, one of the next in the ring goes, decided ones first: of those only a late
 * retransmit would tell. Of the undecided, one of those whose device has the most (accounts.h): who
 * floods the table takes his own attempts' places.
 *
 * Whoever finds an attempt holds on to its place until it is done with it: a place is taken again
 * only when nobody holds it, so that what is written and judged is the attempt that was found,
 * whatever has become of it meanwhile. Find functions hand out held attempts: release() each.
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
static __always_inline bool change_state(const struct hp_attempt *attempt,
					 enum hp_attempt_state from, enum hp_attempt_state to)
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
	__s64 heaviest = -1;

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
		if (!freed && attempt && !is_held(attempt) && weight_of(attempt, now) > heaviest) {
			victim = place;
			heaviest = weight_of(attempt, now);
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
	__s64 heaviest = own_weight(flags);
	int way = HP_INDEX_WAYS;

	if (!set)
		return way;

	SMALL_CODE
	for (int i = 0; i < HP_INDEX_WAYS; i++) {
		const struct hp_attempt *attempt = attempt_at(place_of(set->words[i]));

		if (attempt && weight_of(attempt, now) >= heaviest) {
			heaviest = weight_of(attempt, now);
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
