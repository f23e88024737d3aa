/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* to_net: what leaves on an uplink. Aliases by SNAT; the SYNs of the node itself, and both SYNs and
 * SYN-ACKs of pods that have no device here. */
#pragma once

#include "answers.h"
#include "frontend.h"
#include "noted_syns.h"
#include "pending.h"
#include "source_check.h"

/*
 * Is it a pod's that has no device here (macvlan, ipvlan, a port of a switch beside the kernel's)?
 * Then this namespace has never received it. What it has is forwarded for somebody else, or refused
 * by from_pod; what only says that it is from a pod with a device is forged.
 */
static __noinline bool is_without_device(struct __sk_buff *skb, const struct segment *segment)
{
	return !skb->ingress_ifindex && !has_device(skb, &segment->source, segment->ipv6);
}

/* A node port passes the returned SYN on to another node. */
static __noinline int on_forwarded_syn(struct __sk_buff *skb, const struct segment *syn)
{
	struct hp_attempt *attempt = find_by_isn(syn->sequence);

	if (!attempt)
		return 0;
	/* Not the client's own, sent again to a load balancer that is not watched yet. */
	if ((attempt->flags & HP_RETURNED) &&
	    !is_endpoint(&attempt->lb, &syn->destination, syn->destination_port)) {
		set_flag(attempt, HP_FORWARDED);
		if (attempt->captured)
			copy_packet(skb, syn, attempt, HP_SENSOR_TO_NET);
	}
	release(attempt);
	return 0;
}

/* from_pod has noted it a moment ago, when its load balancer was not known yet: should it come
 * back, it becomes an attempt (learn.h), and is none of the node's own because the node has renamed
 * it. */
static __noinline bool is_noted(const struct segment *syn)
{
	union noted_syn *noted = note_of(syn->sequence);

	return noted && noted->isn == syn->sequence && is_noted_destination(noted, syn);
}

/* Whose SYN is it that no pod's device has seen: flags for the attempt, 0 if it is not to be judged
 * here. Nothing but the uplink's word says whose a pod's address is there. */
static __noinline int client_of(struct __sk_buff *skb, const struct segment *syn)
{
	if (is_node_address(&syn->source))
		return skb->ingress_ifindex && is_noted(syn) ? 0 : HP_HOST_CLIENT;
	return is_without_device(skb, syn) ? HP_HOST_CLIENT | HP_UNVERIFIED : 0;
}

/* S0: of a pod's SYN, which from_pod has noted, that the node does not translate its destination
 * itself; one of the node's own, or of a pod's that has no device here, is noted. What others' are
 * forwarded is not. */
static __noinline int on_syn_elsewhere(struct __sk_buff *skb, const struct segment *syn)
{
	union noted_syn *noted = note_of(syn->sequence);

	on_forwarded_syn(skb, syn);
	if (!noted)
		return 0;
	if (noted->isn != syn->sequence)
		return skb->ingress_ifindex ? 0 : note_syn(skb, syn);
	if (!is_noted_destination(noted, syn))
		noted->translated = 1;
	return 0;
}

/*
 * S1 on the way out: a pod's SYN under the node's address, or the SYN of a client on the node
 * itself. A packet may pass several uplinks' devices, one above the other: who saw the first SYN
 * tells of those that follow.
 */
__noinline int on_net_leaving_syn(struct __sk_buff *skb, const struct segment *syn)
{
	struct hp_attempt_key key;
	struct hp_index_set *set;
	struct hp_attempt *attempt;
	struct hp_endpoint lb = {};
	struct hp_frontend *frontend;
	__u32 flags;
	__u64 now;

	if (!syn)
		return 0;
	if (!may_be_frontend(&syn->destination))
		return on_syn_elsewhere(skb, syn);
	set_key(&key, &syn->source, syn->source_port, syn->sequence);
	set = set_of(&key);
	if (!set)
		return 0;
	attempt = find_in(set, &key);
	if (attempt) {
		/* Nearly always a pod's that from_pod has just seen. */
		bool same = is_endpoint(&attempt->lb, &syn->destination, syn->destination_port);

		if (same && (attempt->flags & HP_HOST_CLIENT) &&
		    attempt->syn_ifindex == skb->ifindex)
			count_retransmit(attempt);
		if (same && attempt->captured)
			copy_packet(skb, syn, attempt, HP_SENSOR_TO_NET);
		release(attempt);
		if (same)
			return 0;
	}
	if (!is_frontend(&syn->destination, syn->destination_port, &frontend))
		return on_syn_elsewhere(skb, syn);
	if (attempt)
		return 0;
	attempt = find_by_isn(syn->sequence);
	if (attempt) {
		bool renamed =
		    (!(attempt->flags & HP_HOST_CLIENT) || attempt->syn_ifindex != skb->ifindex) &&
		    is_endpoint(&attempt->lb, &syn->destination, syn->destination_port);

		if (renamed) {
			set_flag(attempt, HP_SNATED);
			add_alias(&key, &attempt->key, account_in(attempt->flags),
				  attempt->last_ns);
			if (attempt->captured)
				copy_packet(skb, syn, attempt, HP_SENSOR_TO_NET);
		}
		release(attempt);
		if (renamed)
			return 0;
	}
	/* What is forwarded for somebody else is not this node's to judge. */
	flags = is_given_up(syn->sequence) ? 0 : client_of(skb, syn);
	if (flags) {
		now = bpf_ktime_get_ns();
		set_endpoint(&lb, &syn->destination, syn->destination_port);
		if (add_attempt(set, &key, &lb, frontend, skb->ifindex, flags, now, HP_NAMED))
			copy_first(skb, syn, &key, HP_SENSOR_TO_NET);
		note_caller(syn, NULL, now);
	}
	return 0;
}

/* S3 at a target that has no device here, and answers by way of the network. */
__noinline int on_net_leaving_synack(struct __sk_buff *skb, const struct segment *synack)
{
	struct hp_attempt *attempt;

	if (!synack)
		return 0;
	/* As on_pod_synack. */
	if (!may_answer_syn(synack->acknowledgment))
		return 0;
	attempt = find_answered(synack);
	if (!attempt)
		return 0;
	if (is_first_wrong(synack, attempt) && !is_node_address(&synack->source) &&
	    is_without_device(skb, synack)) {
		set_flag(attempt, HP_ANSWER_UNVERIFIED);
		note_suspect(attempt, synack, skb->ifindex, &attempt->synack_sent, HP_SYNACK_LEFT);
	}
	if (attempt->captured)
		copy_packet(skb, synack, attempt, HP_SENSOR_TO_NET);
	release(attempt);
	return 0;
}
