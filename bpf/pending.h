/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Attempts: from the first SYN to the verdict. */
#pragma once

#include "attempt_table.h"
#include "emit.h"
#include "isn_tags.h"
#include "load_balancer.h"
#include "maps.h"
#include "parse.h"

static const struct hp_incident no_incident;

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

/* Atomic: programs on other CPUs, and the sweep, set theirs. */
static __always_inline void set_flag(struct hp_attempt *attempt, enum hp_attempt_flag flag)
{
	__sync_fetch_and_or(&attempt->flags, flag);
}

static __always_inline void set_key(struct hp_attempt_key *key, const struct hp_address *client,
				    __u16 port, __u32 isn)
{
	key->client = *client;
	key->isn = isn;
	key->port = port;
	key->pad = 0;
}

/* Of the attempt that this answers. */
static __always_inline void set_answered_key(struct hp_attempt_key *key,
					     const struct segment *answer)
{
	set_key(key, &answer->destination, answer->destination_port, answer->acknowledgment - 1);
}

/* The attempt of this name or alias. Finds HP_UNSOLICITED ones too. */
static __always_inline struct hp_attempt *find_any(const struct hp_attempt_key *key)
{
	struct hp_attempt *attempt = find_exactly(key);

	if (attempt && (attempt->flags & HP_ALIAS)) {
		attempt = find_exactly(&attempt->origin);
		if (attempt && (attempt->flags & HP_ALIAS))
			return NULL;
	}
	return attempt;
}

static __always_inline struct hp_attempt *find_attempt(const struct hp_attempt_key *key)
{
	struct hp_attempt *attempt = find_any(key);

	return attempt && !(attempt->flags & HP_UNSOLICITED) ? attempt : NULL;
}

/*
 * From an ISN to the newest attempts that have it: how a SYN that the node's SNAT renamed is
 * recognized where it leaves, right after, and the masqueraded SYN-ACK of one that has come back,
 * which is written again then. By the ISN's low bits, two each, and without a lock: what is stale
 * names an attempt that does not match. Two pages, since each attempt writes here.
 */
#define ISN_INDEX_SIZE 512
static __u64 isn_index[ISN_INDEX_SIZE][2];

static __always_inline void index_isn(const struct hp_attempt *attempt)
{
	__u64 *newest = isn_index[attempt->key.isn % ISN_INDEX_SIZE];
	__u64 word = make_word(attempt->key.isn, index_of(attempt), HP_ATTEMPT_UNDECIDED);

	if (newest[0] == word)
		return;
	newest[1] = newest[0];
	newest[0] = word;
}

/*
 * The attempt with this ISN, under whatever name its packets go now: the node's SNAT may have
 * renamed them. Callers check what they know of the attempt.
 */
static __always_inline struct hp_attempt *find_by_isn(__u32 isn)
{
	const __u64 *newest = isn_index[isn % ISN_INDEX_SIZE];
	__u64 word = (__u32)newest[0] == isn ? newest[0] : newest[1];
	struct hp_attempt *attempt;

	if ((__u32)word != isn || state_of(word) == HP_ATTEMPT_NONE)
		return NULL;
	attempt = attempt_at(place_of(word));
	return attempt && attempt->key.isn == isn && is_in_use(attempt) &&
		       !(attempt->flags & HP_ALIAS)
		   ? attempt
		   : NULL;
}

static __noinline int add_alias(const struct hp_attempt_key *alias,
				const struct hp_attempt_key *origin, __u64 now)
{
	struct hp_index_set *set = set_of(alias);
	struct hp_attempt *entry = set ? take_place(alias) : NULL;

	if (!entry)
		return 0;
	entry->flags = HP_ALIAS;
	entry->last_ns = now;
	entry->origin = *origin;
	publish(set, entry);
	return 0;
}

/*
 * A program behind to_net may hide clients behind the node's address, or give the node's own
 * another port (Cilium's masquerading in BPF): the alias is seen only when it comes back, and its
 * ISN tells whose it is. By the ISN first, which nearly always says nobody's.
 */
static __noinline struct hp_attempt *find_hidden(const struct hp_attempt_key *key)
{
	struct hp_attempt *attempt = find_by_isn(key->isn);

	return attempt && !(attempt->flags & HP_UNSOLICITED) && is_node_address(&key->client)
		   ? attempt
		   : NULL;
}

/* How fresh the times in `callers` and `sources` are kept. */
#define CALL_INTERVAL_NS 1000000000ULL

/* `source` is the entry of the SYN's own address; NULL for one of the node's, which has none. */
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
	COUNT_LB(attempt, syn_retransmits);
	/* Newer ones may have pushed it out; its answer may come only now. */
	if (!may_follow_syn(attempt->key.isn + 1) || !may_answer_syn(attempt->key.isn + 1))
		tag_isn(attempt->key.isn);
	return 0;
}

/* S1: the first SYN of an attempt. `set` is the key's, `frontend` the endpoint's own entry or NULL.
 */
static __always_inline void add_attempt(struct hp_index_set *set, const struct hp_attempt_key *key,
					const struct segment *syn, struct hp_frontend *frontend,
					__u32 ifindex, __u32 flags, __u64 now)
{
	struct hp_attempt *attempt = take_place(key);
	struct hp_lb_counters *counters;
	struct hp_endpoint lb = {};
	__u32 index = frontend ? frontend->counters : 0;

	set_endpoint(&lb, &syn->destination, syn->destination_port);
	if (!index) {
		index = find_counters(&lb);
		if (frontend)
			frontend->counters = index;
	}
	counters = bpf_map_lookup_elem(&load_balancers, &index);
	if (counters)
		__sync_fetch_and_add(&counters->syns, 1);
	if (!attempt)
		return;
	attempt->lb = lb;
	attempt->flags = flags;
	attempt->first_ns = now;
	attempt->last_ns = now;
	attempt->counters = index;
	attempt->syn_ifindex = ifindex;
	if (!publish(set, attempt))
		return;
	index_isn(attempt);
	tag_isn(key->isn);
}

/*
 * A SYN with a local client's source that the client never sent: a load balancer that ends the
 * client's connection (TLS) and opens one of its own under the client's address. Kept for a client
 * that has called a load balancer lately, under the one it called last.
 */
static __always_inline struct hp_attempt *add_unsolicited(const struct hp_attempt_key *key,
							  const struct segment *syn, __u32 ifindex)
{
	struct hp_source *source = find_source(&syn->source);
	struct hp_index_set *set;
	struct hp_attempt *attempt;
	__u64 now;

	if (!source || !is_seen(&source->lb))
		return NULL;
	now = bpf_ktime_get_ns();
	if (now - source->called_ns > RETRANSMIT_WINDOW_NS)
		return NULL;
	set = set_of(key);
	attempt = set ? take_place(key) : NULL;
	if (!attempt)
		return NULL;
	attempt->lb = source->lb;
	attempt->flags = HP_UNSOLICITED | HP_RETURNED;
	attempt->first_ns = now;
	attempt->last_ns = now;
	attempt->counters = find_counters(&source->lb);
	attempt->syn_ifindex = ifindex;
	set_endpoint(&attempt->returned, &syn->destination, syn->destination_port);
	if (!publish(set, attempt))
		return NULL;
	tag_isn(key->isn);
	return attempt;
}

/* TCP Fast Open (RFC 7413): the SYN-ACK acknowledges the SYN's data too. */
static __noinline int add_fast_open_alias(const struct hp_attempt_key *key, __u32 payload_length,
					  __u64 now)
{
	struct hp_attempt_key alias = *key;

	alias.isn += payload_length;
	add_alias(&alias, key, now);
	tag_isn(alias.isn);
	return 0;
}

static const __u32 latency_bounds_us[HP_LATENCY_BUCKET_COUNT - 1] = HP_LATENCY_BOUNDS_US;

static __noinline int count_answered(const struct hp_attempt *attempt, __u64 latency_ns)
{
	struct hp_lb_counters *counters = counters_of(attempt);
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

/* The load balancer's answer after all, to an attempt that was counted otherwise. */
static __noinline int conclude_late(struct hp_attempt *seen)
{
	struct hp_attempt attempt = *seen;

	if (!drop(seen, HP_ATTEMPT_DECIDED))
		return 0;
	attempt.outcome = HP_OUTCOME_COMPLETED;
	if (attempt.flags & HP_EMITTED)
		emit(HP_EVENT_OUTCOME, bpf_ktime_get_ns(), &attempt);
	return 0;
}

/* S6: V itself answered. Whatever was only suspected is void. */
static __noinline int conclude_answered(struct hp_attempt *attempt, bool refused)
{
	if (attempt->flags & HP_ANSWERED) {
		untag_ack(attempt->key.isn);
		return drop(attempt, HP_ATTEMPT_DECIDED);
	}
	if (!decide(attempt))
		return refused ? drop(attempt, HP_ATTEMPT_DECIDED) : conclude_late(attempt);
	untag_ack(attempt->key.isn);
	if (refused)
		COUNT_LB(attempt, refused);
	else
		count_answered(attempt, bpf_ktime_get_ns() - attempt->first_ns);
	drop(attempt, HP_ATTEMPT_DECIDED);
	return 0;
}

/*
 * The same where the answer may still get lost on its way to the pod: kept until the pod has
 * acknowledged it, so that its SYN, sent again, is no new attempt.
 */
static __noinline int conclude_answered_on_its_way(struct hp_attempt *attempt)
{
	if (attempt->flags & HP_ANSWERED)
		return 0;
	if (!decide(attempt))
		return conclude_late(attempt);
	set_flag(attempt, HP_ANSWERED);
	count_answered(attempt, bpf_ktime_get_ns() - attempt->first_ns);
	return 0;
}

static __noinline int conclude_unanswered(struct hp_attempt *attempt)
{
	if (!decide(attempt))
		return 0;
	set_flag(attempt, HP_UNANSWERED);
	COUNT_LB(attempt, unanswered);
	return 0;
}
