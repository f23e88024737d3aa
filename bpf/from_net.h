/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* from_net: what comes in on an uplink. S0, S2, and answers. */
#pragma once

#include "answers.h"
#include "learn.h"
#include "pending.h"
#include "source_check.h"

/* The load balancer's. */
static __always_inline int arrive_right(const struct segment *answer, struct hp_attempt *attempt)
{
	if (answer->flags & TCP_RST)
		return conclude_answered(attempt, true);
	if (!(attempt->flags & HP_HOST_CLIENT)) {
		set_flag(attempt, HP_ANSWER_ARRIVED);
		return 0;
	}
	/* Kept for a while: its SYN may just be sent again. No hook looks for its ACK. */
	untag(attempt);
	return conclude_answered_on_its_way(attempt);
}

/*
 * A wrong one. To a client of the node itself, or one without a device here, nothing comes later
 * that could change it, unless its SYN passed another uplink's device first: between that and this
 * one a switch may translate (a card and the internal port above it, of Open vSwitch).
 */
static __always_inline int arrive_wrong(struct __sk_buff *skb, const struct segment *answer,
					struct hp_attempt *attempt)
{
	bool is_host = attempt->flags & HP_HOST_CLIENT;

	if (is_host && attempt->syn_ifindex != skb->ifindex)
		return suspect_delivery(skb, answer, attempt);
	if ((!is_host || has_no_device(attempt)) &&
	    !(attempt->flags & (HP_SYNACK_LEFT | HP_SYNACK_ARRIVED | HP_MISMATCHED)))
		note_suspect(attempt, answer, skb->ifindex, &attempt->synack_sent,
			     HP_SYNACK_ARRIVED);
	return is_host ? on_delivered(skb, answer, attempt) : 0;
}

static __always_inline int arrive(struct __sk_buff *skb, const struct segment *answer,
				  struct hp_attempt *attempt)
{
	if (is_endpoint(&attempt->lb, &answer->source, answer->source_port))
		return arrive_right(answer, attempt);
	/* A stray RST is no handshake: the client's stack ignores it. */
	return answer->flags & TCP_RST ? 0 : arrive_wrong(skb, answer, attempt);
}

/*
 * An answer that comes in on the uplink has reached a client on the node itself. For a pod it is
 * still on its way: the node may translate or drop it, or give it to the pod past every hook.
 */
__noinline int on_net_answer(struct __sk_buff *skb, const struct segment *answer)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!answer)
		return 0;
	set_answered_key(&key, answer);
	attempt = find_attempt(&key);
	if (!attempt) {
		attempt = find_hidden(&key, false);
		/* Another's may be for a node port's client, whom the node hides as well. */
		if (attempt && !is_endpoint(&attempt->lb, &answer->source, answer->source_port))
			attempt = unwanted(attempt);
	}
	if (!attempt)
		return 0;
	arrive(skb, answer, attempt);
	if (attempt->captured)
		copy_packet(skb, answer, attempt, HP_SENSOR_FROM_NET);
	release(attempt);
	return 0;
}

/* Whether what answers it would be on this node: a node forwards what is for others, too. */
static __always_inline void note_target(struct __sk_buff *skb, const struct segment *syn,
					struct hp_attempt *attempt)
{
	if (is_local_pod(skb, &syn->destination, syn->ipv6))
		set_flag(attempt, HP_TARGET_HERE);
}

static __noinline int on_unsolicited_syn(struct __sk_buff *skb, const struct segment *syn,
					 const struct hp_attempt_key *key)
{
	struct hp_attempt *attempt =
	    add_unsolicited(key, syn, skb->ifindex) ? find_exactly(key) : NULL;

	if (!attempt)
		return 0;
	note_target(skb, syn, attempt);
	release(attempt);
	return 0;
}

/*
 * The load balancer chose this node and speaks in its own name: what fails where it keeps the
 * client's. Told by the ISN alone, which those keep that only translate.
 */
static __noinline int note_same_node(struct __sk_buff *skb, const struct segment *syn)
{
	struct hp_attempt *attempt = find_by_isn(syn->sequence);

	if (!attempt)
		return 0;
	if (!(attempt->flags & (HP_UNSOLICITED | HP_RETURNED)) &&
	    (is_node_address(&syn->destination) || is_local_pod(skb, &syn->destination, syn->ipv6)))
		attempt->same_node = true;
	release(attempt);
	return 0;
}

/* A SYN sent again is that much later than the first; the same packet, seen on a second uplink, is
 * not. */
#define SENT_AGAIN_NS 100000000ULL

static __always_inline void come_back(struct __sk_buff *skb, const struct segment *syn,
				      struct hp_attempt *attempt)
{
	__u64 now;

	if (is_endpoint(&attempt->lb, &syn->destination, syn->destination_port))
		return;
	if (!(attempt->flags & (HP_RETURNED | HP_MISMATCHED))) {
		set_endpoint(&attempt->returned, &syn->destination, syn->destination_port);
		set_flag(attempt, HP_RETURNED);
		note_target(skb, syn, attempt);
		/* Its SYN-ACK may be for the node, and tell by the ISN alone. */
		index_isn(attempt->key.isn, index_of(attempt), HP_ATTEMPT_UNDECIDED);
		if (attempt->learned)
			emit(HP_EVENT_LEARNED, bpf_ktime_get_ns(), attempt);
	} else if (attempt->learned == HP_LEARNED) {
		now = bpf_ktime_get_ns();
		if (now - attempt->first_ns >= SENT_AGAIN_NS)
			attempt->learned = HP_LEARNED_AGAIN;
	}
}

/* S2: the load balancer kept the source and chose this node. */
__noinline int on_net_syn(struct __sk_buff *skb, const struct segment *syn)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;
	int learned;

	if (!syn)
		return 0;
	set_key(&key, &syn->source, syn->source_port, syn->sequence);
	attempt = find_any(&key);
	if (!attempt) {
		attempt = find_hidden(&key, true);
		if (attempt && !same_address(&attempt->key.client, &key.client))
			set_flag(attempt, HP_SNATED);
		if (attempt)
			add_alias(&key, &attempt->key, account_in(attempt->flags),
				  attempt->last_ns);
	}
	if (!attempt) {
		note_same_node(skb, syn);
		learned = learn(skb, syn);
		if (learned == NOT_NOTED && may_be_client(&syn->source))
			return on_unsolicited_syn(skb, syn, &key);
		if (learned != IS_ATTEMPT)
			return 0;
		attempt = find_any(&key);
		if (!attempt)
			return 0;
	}
	come_back(skb, syn, attempt);
	if (attempt->captured)
		copy_packet(skb, syn, attempt, HP_SENSOR_FROM_NET);
	release(attempt);
	return 0;
}
