/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* from_net: what comes in on an uplink. S2, and answers. */
#pragma once

#include "answers.h"
#include "pending.h"
#include "source_check.h"

/*
 * To a client of the node itself, or one without a device here, nothing comes later that could
 * change it, unless its SYN passed another uplink's device first: between that and this one a
 * switch may translate (a card and the internal port above it, of Open vSwitch).
 */
static __always_inline int arrive_at_host(struct __sk_buff *skb, const struct segment *answer,
					  struct hp_attempt *attempt)
{
	bool is_wrong = !(answer->flags & TCP_RST) &&
			!is_endpoint(&attempt->lb, &answer->source, answer->source_port);

	if (is_wrong && attempt->syn_ifindex != skb->ifindex)
		return suspect_delivery(skb, answer, attempt);
	if (is_wrong && has_no_device(attempt) &&
	    !(attempt->flags & (HP_SYNACK_LEFT | HP_SYNACK_ARRIVED | HP_MISMATCHED)))
		note_suspect(attempt, answer, skb->ifindex, &attempt->synack_left,
			     HP_SYNACK_ARRIVED);
	return on_delivered(skb, answer, attempt);
}

static __always_inline int arrive(struct __sk_buff *skb, const struct segment *answer,
				  struct hp_attempt *attempt)
{
	if (attempt->flags & HP_HOST_CLIENT)
		return arrive_at_host(skb, answer, attempt);
	if (is_endpoint(&attempt->lb, &answer->source, answer->source_port)) {
		if (answer->flags & TCP_RST)
			return conclude_answered(attempt, true);
		set_flag(attempt, HP_ANSWER_ARRIVED);
		return 0;
	}
	if ((answer->flags & TCP_RST) ||
	    (attempt->flags & (HP_SYNACK_LEFT | HP_SYNACK_ARRIVED | HP_MISMATCHED)))
		return 0;
	note_suspect(attempt, answer, skb->ifindex, &attempt->synack_left, HP_SYNACK_ARRIVED);
	return 0;
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
		attempt = find_hidden(&key);
		/* Another's may be for a node port's client, whom the node hides as well. */
		if (attempt && !is_endpoint(&attempt->lb, &answer->source, answer->source_port))
			attempt = unwanted(attempt);
	}
	if (!attempt)
		return 0;
	arrive(skb, answer, attempt);
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

/* S2: the load balancer kept the source and chose this node. */
__noinline int on_net_syn(struct __sk_buff *skb, const struct segment *syn)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!syn)
		return 0;
	set_key(&key, &syn->source, syn->source_port, syn->sequence);
	attempt = find_any(&key);
	if (!attempt) {
		attempt = find_hidden(&key);
		if (!attempt)
			return may_be_client(&syn->source) ? on_unsolicited_syn(skb, syn, &key) : 0;
		set_flag(attempt, HP_SNATED);
		add_alias(&key, &attempt->key, account_in(attempt->flags), attempt->last_ns);
	}
	if (!(attempt->flags & (HP_RETURNED | HP_MISMATCHED)) &&
	    !is_endpoint(&attempt->lb, &syn->destination, syn->destination_port)) {
		set_endpoint(&attempt->returned, &syn->destination, syn->destination_port);
		set_flag(attempt, HP_RETURNED);
		note_target(skb, syn, attempt);
		/* Its SYN-ACK may be for the node, and tell by the ISN alone. */
		index_isn(attempt->key.isn, index_of(attempt), HP_ATTEMPT_UNDECIDED);
	}
	release(attempt);
	return 0;
}
