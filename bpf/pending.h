/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Attempts: from the first SYN to the verdict.
 *
 * Exactly once: an attempt is decided by whoever deletes its entry. bpf_map_delete_elem succeeds
 * for one caller only, on every kernel, so that TC programs, tracepoints and the sweep on other
 * CPUs can never count an attempt twice or both ways. A decided attempt that retransmits may still
 * follow is put back with its verdict in the flags.
 */
#pragma once

#include "emit.h"
#include "maps.h"
#include "parse.h"

static const struct hp_endpoint other_load_balancers;
static const struct hp_lb_counters no_counters;
static const struct hp_incident no_incident;

static __always_inline bool same_address(const struct hp_address *a, const struct hp_address *b)
{
	return a->word[3] == b->word[3] && a->word[2] == b->word[2] && a->word[1] == b->word[1] &&
	       a->word[0] == b->word[0];
}

static __always_inline bool is_endpoint(const struct hp_endpoint *endpoint,
					const struct hp_address *address, __u16 port)
{
	return endpoint->port == port && same_address(&endpoint->address, address);
}

static __always_inline void set_endpoint(struct hp_endpoint *endpoint,
					 const struct hp_address *address, __u16 port)
{
	endpoint->address = *address;
	endpoint->port = port;
}

static __always_inline bool is_seen(const struct hp_endpoint *endpoint)
{
	return endpoint->port != 0;
}

static __always_inline void set_key(struct hp_attempt_key *key, const struct hp_address *client,
				    __u16 port, __u32 isn)
{
	key->client = *client;
	key->isn = isn;
	key->port = port;
	key->pad = 0;
}

/* Follows an alias: `key` becomes that of the attempt itself. Finds HP_UNSOLICITED ones too. */
static __always_inline struct hp_attempt *find_any(struct hp_attempt_key *key)
{
	struct hp_attempt *attempt = bpf_map_lookup_elem(&pending, key);

	if (attempt && (attempt->flags & HP_ALIAS)) {
		*key = attempt->origin;
		attempt = bpf_map_lookup_elem(&pending, key);
		if (attempt && (attempt->flags & HP_ALIAS))
			return NULL;
	}
	return attempt;
}

static __always_inline struct hp_attempt *find_attempt(struct hp_attempt_key *key)
{
	struct hp_attempt *attempt = find_any(key);

	return attempt && !(attempt->flags & HP_UNSOLICITED) ? attempt : NULL;
}

static __noinline struct hp_lb_counters *counters_of(const struct hp_endpoint *lb)
{
	struct hp_lb_counters *counters = bpf_map_lookup_elem(&load_balancers, lb);

	if (counters)
		return counters;
	bpf_map_update_elem(&load_balancers, lb, &no_counters, BPF_NOEXIST);
	counters = bpf_map_lookup_elem(&load_balancers, lb);
	if (counters)
		return counters;
	count(HP_TOTAL_LB_TABLE_FULL);
	return bpf_map_lookup_elem(&load_balancers, &other_load_balancers);
}

/* Shared counters, not per CPU: they move once a handshake, and readers get exact sums. */
#define COUNT_LB(lb, counter)                                                                      \
	do {                                                                                       \
		struct hp_lb_counters *lb_counters = counters_of(lb);                              \
		if (lb_counters)                                                                   \
			__sync_fetch_and_add(&lb_counters->counter, 1);                            \
	} while (0)

static __always_inline __u32 isn_slot(__u32 isn)
{
	return isn & (ISN_INDEX_SIZE - 1);
}

static __always_inline void add_alias(const struct hp_attempt_key *alias,
				      const struct hp_attempt_key *origin, __u64 now)
{
	struct hp_attempt entry = {.flags = HP_ALIAS, .last_ns = now, .origin = *origin};

	if (bpf_map_update_elem(&pending, alias, &entry, BPF_ANY))
		count(HP_TOTAL_PENDING_FAILED);
}

/* How fresh the times in `callers` and `sources` are kept. */
#define CALL_INTERVAL_NS 1000000000ULL

/* Has it been recorded lately? "No" may be wrong. */
static __always_inline bool is_indexed(const struct hp_attempt_key *key)
{
	__u32 slot = isn_slot(key->isn);
	const struct isn_index_slot *indexed = bpf_map_lookup_elem(&isn_index, &slot);

	return indexed && indexed->newest.isn == key->isn && indexed->newest.port == key->port &&
	       same_address(&indexed->newest.client, &key->client);
}

/*
 * `source` is the entry of the SYN's own address; NULL for one of the node's, which has none. Not
 * from add_attempt: both frames together would not fit into the verifier's 512 bytes.
 */
static __noinline int note_caller(const struct segment *syn, struct hp_source *source, __u64 now)
{
	struct hp_caller_key key = {.client = syn->source};
	__u64 *last;

	if (source) {
		if (is_endpoint(&source->lb, &syn->destination, syn->destination_port) &&
		    now - source->called_ns < CALL_INTERVAL_NS)
			return 0;
		set_endpoint(&source->lb, &syn->destination, syn->destination_port);
		source->called_ns = now;
	}
	set_endpoint(&key.lb, &syn->destination, syn->destination_port);
	last = bpf_map_lookup_elem(&callers, &key);
	if (last)
		*last = now;
	else
		bpf_map_update_elem(&callers, &key, &now, BPF_ANY);
	return 0;
}

static __noinline int count_retransmit(struct hp_attempt *attempt)
{
	attempt->last_ns = bpf_ktime_get_ns();
	COUNT_LB(&attempt->lb, syn_retransmits);
	return 0;
}

/* S1: the first SYN of an attempt, unless it is there already: that spares each new one a look-up.
 */
static __noinline int add_attempt(const struct hp_attempt_key *key, const struct segment *syn,
				  __u32 ifindex, __u32 flags, __u64 now)
{
	struct hp_attempt attempt = {
	    .first_ns = now, .last_ns = now, .flags = flags, .syn_ifindex = ifindex};
	__u32 slot = isn_slot(key->isn);
	struct isn_index_slot *indexed;
	struct hp_attempt *there;
	long error;

	set_endpoint(&attempt.lb, &syn->destination, syn->destination_port);
	error = bpf_map_update_elem(&pending, key, &attempt, BPF_NOEXIST);
	if (error == -EEXIST) {
		there = bpf_map_lookup_elem(&pending, key);
		if (there && is_endpoint(&there->lb, &syn->destination, syn->destination_port))
			return count_retransmit(there);
		error = bpf_map_update_elem(&pending, key, &attempt, BPF_ANY);
	}
	COUNT_LB(&attempt.lb, syns);
	if (error) {
		count(HP_TOTAL_PENDING_FAILED);
		return 0;
	}
	/* After it is kept: an attempt that is counted and not yet there would be swept past. */
	count(HP_TOTAL_ATTEMPTS);
	indexed = bpf_map_lookup_elem(&isn_index, &slot);
	if (indexed) {
		indexed->older = indexed->newest;
		indexed->newest = *key;
	}
	tag_isn(key->isn);
	return 0;
}

/*
 * A SYN with a local client's source that the client never sent: a load balancer that ends the
 * client's connection (TLS) and opens one of its own under the client's address. Kept for a client
 * that has called a load balancer lately, under the one it called last.
 */
static __noinline int add_unsolicited(const struct hp_attempt_key *key, const struct segment *syn,
				      __u32 ifindex)
{
	struct hp_source *source = bpf_map_lookup_elem(&sources, &syn->source);
	struct hp_attempt attempt = {.flags = HP_UNSOLICITED | HP_RETURNED, .syn_ifindex = ifindex};
	__u64 now;

	if (!source || !is_seen(&source->lb))
		return 0;
	now = bpf_ktime_get_ns();
	if (now - source->called_ns > RETRANSMIT_WINDOW_NS)
		return 0;
	attempt.first_ns = now;
	attempt.last_ns = now;
	attempt.lb = source->lb;
	set_endpoint(&attempt.returned, &syn->destination, syn->destination_port);
	if (bpf_map_update_elem(&pending, key, &attempt, BPF_NOEXIST)) {
		count(HP_TOTAL_PENDING_FAILED);
		return 0;
	}
	count(HP_TOTAL_ATTEMPTS);
	tag_isn(key->isn);
	return 0;
}

/* TCP Fast Open (RFC 7413): the SYN-ACK acknowledges the SYN's data too. */
static __noinline int add_fast_open_alias(const struct hp_attempt_key *key, __u32 payload_length)
{
	struct hp_attempt_key alias = *key;

	alias.isn += payload_length;
	add_alias(&alias, key, bpf_ktime_get_ns());
	tag_isn(alias.isn);
	return 0;
}

/*
 * The attempt with this ISN, under whatever name its packets go now: the node's SNAT may have
 * renamed them. Callers check what they know of the attempt.
 */
static __always_inline struct hp_attempt *find_by_isn(__u32 isn, struct hp_attempt_key *origin)
{
	__u32 slot = isn_slot(isn);
	struct isn_index_slot *indexed = bpf_map_lookup_elem(&isn_index, &slot);
	struct hp_attempt *attempt;

	if (!indexed)
		return NULL;
	*origin = indexed->newest.isn == isn ? indexed->newest : indexed->older;
	if (origin->isn != isn)
		return NULL;
	attempt = bpf_map_lookup_elem(&pending, origin);
	if (!attempt || (attempt->flags & HP_ALIAS))
		return NULL;
	return attempt;
}

static const __u32 latency_bounds_us[HP_LATENCY_BUCKET_COUNT - 1] = HP_LATENCY_BOUNDS_US;

static __noinline int count_answered(const struct hp_endpoint *lb, __u64 latency_ns)
{
	struct hp_lb_counters *counters = counters_of(lb);
	__u32 bucket = 0;

	if (!counters)
		return 0;
	for (int i = 0; i < HP_LATENCY_BUCKET_COUNT - 1; i++)
		bucket += latency_ns > latency_bounds_us[i] * 1000ULL;
	if (bucket >= HP_LATENCY_BUCKET_COUNT)
		return 0;
	__sync_fetch_and_add(&counters->answered, 1);
	__sync_fetch_and_add(&counters->latency_ns, latency_ns);
	__sync_fetch_and_add(&counters->latencies[bucket], 1);
	return 0;
}

/* S6: V itself answered. Whatever was only suspected is void. */
static __noinline int conclude_answered(const struct hp_attempt_key *key,
					const struct hp_attempt *seen, bool refused)
{
	struct hp_attempt attempt = *seen;

	if (bpf_map_delete_elem(&pending, key))
		return 0;
	untag_isn(key->isn);
	if (!(attempt.flags & (HP_MISMATCHED | HP_UNANSWERED))) {
		if (refused)
			COUNT_LB(&attempt.lb, refused);
		else
			count_answered(&attempt.lb, bpf_ktime_get_ns() - attempt.first_ns);
	} else if ((attempt.flags & HP_EMITTED) && !refused) {
		attempt.outcome = HP_OUTCOME_COMPLETED;
		emit(HP_EVENT_OUTCOME, bpf_ktime_get_ns(), key, &attempt);
	}
	return 0;
}

static __noinline int conclude_unanswered(const struct hp_attempt_key *key,
					  const struct hp_attempt *seen)
{
	struct hp_attempt attempt = *seen;

	if (bpf_map_delete_elem(&pending, key))
		return 0;
	attempt.flags |= HP_UNANSWERED;
	COUNT_LB(&attempt.lb, unanswered);
	if (bpf_map_update_elem(&pending, key, &attempt, BPF_NOEXIST))
		count(HP_TOTAL_PENDING_FAILED);
	return 0;
}
