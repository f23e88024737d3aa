/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Attempts: from the first SYN to the verdict. */
#pragma once

#include "attempt_places.h"
#include "capture.h"
#include "emit.h"
#include "isn_index.h"
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

/* Is the client the node itself? Else, of HP_HOST_CLIENT's, a pod that has no device here. */
static __always_inline bool is_nodes_own(const struct hp_attempt *attempt)
{
	return (attempt->flags & (HP_HOST_CLIENT | HP_UNVERIFIED)) == HP_HOST_CLIENT;
}

static __always_inline bool has_no_device(const struct hp_attempt *attempt)
{
	return (attempt->flags & (HP_HOST_CLIENT | HP_UNVERIFIED)) ==
	       (HP_HOST_CLIENT | HP_UNVERIFIED);
}

/* Of the attempt that this answers. */
static __always_inline void set_answered_key(struct hp_attempt_key *key,
					     const struct segment *answer)
{
	set_key(key, &answer->destination, answer->destination_port, answer->acknowledgment - 1);
}

/* The attempt of this name or alias, held. Finds HP_UNSOLICITED ones too. */
static __always_inline struct hp_attempt *find_any(const struct hp_attempt_key *key)
{
	struct hp_attempt *attempt = find_exactly(key);

	if (attempt && (attempt->flags & HP_ALIAS)) {
		struct hp_attempt_key origin = attempt->origin;

		release(attempt);
		attempt = find_exactly(&origin);
		if (attempt && (attempt->flags & HP_ALIAS))
			return unwanted(attempt);
	}
	return attempt;
}

static __always_inline struct hp_attempt *find_attempt(const struct hp_attempt_key *key)
{
	struct hp_attempt *attempt = find_any(key);

	return attempt && (attempt->flags & HP_UNSOLICITED) ? unwanted(attempt) : attempt;
}

/* The attempt that this answers, held. */
static __always_inline struct hp_attempt *find_answered(const struct segment *answer)
{
	struct hp_attempt_key key;

	set_answered_key(&key, answer);
	return find_attempt(&key);
}

/* `flags` has the account of the attempt that it is another name of. */
static __noinline int add_alias(const struct hp_attempt_key *alias,
				const struct hp_attempt_key *origin, __u32 flags, __u64 now)
{
	struct hp_index_set *set = set_of(alias);
	struct hp_attempt *entry = set ? take_place(alias, HP_ALIAS | flags, 0, now) : NULL;

	if (!entry)
		return 0;
	entry->origin = *origin;
	publish(set, entry);
	return 0;
}

/* The account alone. */
static __always_inline __u32 account_in(__u32 flags)
{
	return flags >> HP_ACCOUNT_SHIFT << HP_ACCOUNT_SHIFT;
}

/*
 * A program behind to_net may hide clients behind the node's address, or give the node's own
 * another port (Cilium's masquerading in BPF): the alias is seen only when it comes back, and its
 * ISN tells whose it is. By the ISN first, which nearly always says nobody's. With `by_port` also
 * the client's own address, of which a load balancer may have changed the port.
 */
static __noinline struct hp_attempt *find_hidden(const struct hp_attempt_key *key, bool by_port)
{
	struct hp_attempt *attempt = find_by_isn(key->isn);

	if (!attempt)
		return NULL;
	if (!(attempt->flags & HP_UNSOLICITED) &&
	    ((by_port && same_address(&attempt->key.client, &key->client)) ||
	     is_node_address(&key->client)))
		return attempt;
	return unwanted(attempt);
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

/* HP_TAGGED, if there is still an ACK's tag to have for one more of this account. */
static __always_inline __u32 tag_for(__u32 account)
{
	return tagged_of(account) < ACK_TAGS_A_DEVICE ? HP_TAGGED : 0;
}

static __always_inline void tag_isn(__u32 isn, __u32 flags)
{
	if (undecided_of(flags) <= SYNACK_TAGS_A_DEVICE)
		push_synack_tag(isn);
	if (flags & HP_TAGGED)
		push_ack_tag(isn);
}

static __noinline int count_retransmit(struct hp_attempt *attempt)
{
	__u32 isn = attempt->key.isn;

	attempt->last_ns = bpf_ktime_get_ns();
	COUNT_LB(attempt, syn_retransmits);
	/* Newer ones may have pushed it out; its answer may come only now. */
	if (!may_answer_syn(isn + 1) || ((attempt->flags & HP_TAGGED) && !may_follow_syn(isn + 1)))
		tag_isn(isn, attempt->flags);
	return 0;
}

/*
 * S1: the first SYN of an attempt, to `lb`. `set` is the key's, `frontend` the endpoint's own entry
 * or NULL, `flags` without the account. True if its packets are to be copied: this one, too.
 */
static __always_inline bool add_attempt(struct hp_index_set *set, const struct hp_attempt_key *key,
					const struct hp_endpoint *lb, struct hp_frontend *frontend,
					__u32 ifindex, __u32 flags, __u64 now,
					enum hp_learned learned)
{
	struct hp_lb_counters *counters;
	struct hp_attempt *attempt;
	__u32 index = frontend ? frontend->counters : 0;
	bool captured = false;
	__u32 place;

	flags |= account_of_device(ifindex);
	flags |= tag_for(flags);
	attempt = take_place(key, flags, ifindex, now);
	if (!index) {
		index = find_counters(lb, frontend ? 0 : flags);
		if (frontend)
			frontend->counters = index;
	}
	counters = bpf_map_lookup_elem(&load_balancers, &index);
	if (counters)
		__sync_fetch_and_add(&counters->syns, 1);
	if (!attempt) {
		index_isn(key->isn, 0, HP_ATTEMPT_DECIDED);
		return false;
	}
	if (captures_armed && take_capture(key, lb))
		attempt->captured = captured = true;
	attempt->lb = *lb;
	attempt->first_ns = now;
	attempt->counters = index;
	attempt->learned = learned;
	place = index_of(attempt);
	if (!publish(set, attempt)) {
		index_isn(key->isn, 0, HP_ATTEMPT_DECIDED);
		return false;
	}
	index_isn(key->isn, place, HP_ATTEMPT_UNDECIDED);
	tag_isn(key->isn, flags);
	return captured;
}

/* The first packet of an attempt that has just been added, and is another's to drop since. */
static __noinline int copy_first(struct __sk_buff *skb, const struct segment *syn,
				 const struct hp_attempt_key *key, enum hp_sensor sensor)
{
	struct hp_attempt *attempt = find_exactly(key);

	if (!attempt)
		return 0;
	copy_packet(skb, syn, attempt, sensor);
	release(attempt);
	return 0;
}

/*
 * A SYN with a local client's source that the client never sent: a load balancer that ends the
 * client's connection (TLS) and opens one of its own under the client's address. Kept for a client
 * that has called a load balancer lately, under the one it called last. Charged to the network:
 * anybody out there can send such SYNs, in each client's name.
 */
static __always_inline bool add_unsolicited(const struct hp_attempt_key *key,
					    const struct segment *syn, __u32 ifindex)
{
	__u32 flags = HP_UNSOLICITED | HP_RETURNED;
	struct hp_source *source = find_source(&syn->source);
	struct hp_index_set *set;
	struct hp_attempt *attempt;
	__u64 now;

	if (!source || !is_seen(&source->lb))
		return false;
	now = bpf_ktime_get_ns();
	if (now - source->called_ns > RETRANSMIT_WINDOW_NS)
		return false;
	set = set_of(key);
	attempt = set ? take_place(key, flags, ifindex, now) : NULL;
	if (!attempt)
		return false;
	attempt->lb = source->lb;
	attempt->first_ns = now;
	attempt->counters = known_counters(&source->lb);
	set_endpoint(&attempt->returned, &syn->destination, syn->destination_port);
	if (!publish(set, attempt))
		return false;
	tag_isn(key->isn, flags);
	return true;
}

/* TCP Fast Open (RFC 7413): the SYN-ACK acknowledges the SYN's data too. */
static __noinline int add_fast_open_alias(const struct hp_attempt_key *key, __u32 payload_length,
					  __u32 ifindex, __u64 now)
{
	struct hp_attempt_key alias = *key;
	__u32 flags = account_of_device(ifindex);

	flags |= tag_for(flags);
	alias.isn += payload_length;
	add_alias(&alias, key, flags, now);
	tag_isn(alias.isn, flags);
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
	if (attempt->same_node)
		__sync_fetch_and_add(&counters->same_node_answered, 1);
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
		return drop(attempt, HP_ATTEMPT_DECIDED);
	}
	if (!decide(attempt))
		return refused ? drop(attempt, HP_ATTEMPT_DECIDED) : conclude_late(attempt);
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
