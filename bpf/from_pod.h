/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* from_pod: what a pod sends. S1; S3 as it leaves a target; the client's ACK and RST. */
#pragma once

#include "answers.h"
#include "conntrack.h"
#include "frontend.h"
#include "isn_tags.h"
#include "noted_syns.h"
#include "pending.h"
#include "source_check.h"

/* S0, S1: a pod's SYN. */
__noinline int on_pod_syn(struct __sk_buff *skb, const struct segment *syn)
{
	struct hp_attempt_key key;
	struct hp_index_set *set;
	struct hp_attempt *attempt;
	struct hp_endpoint lb = {};
	struct hp_frontend *frontend;
	enum hp_ownership ownership;
	struct hp_source *source;
	__u32 ifindex;
	__u64 now;

	if (!syn)
		return 0;
	if (!is_frontend(&syn->destination, syn->destination_port, &frontend))
		return note_syn(skb, syn);
	set_key(&key, &syn->source, syn->source_port, syn->sequence);
	set = set_of(&key);
	if (!set)
		return 0;
	attempt = find_in(set, &key);
	if (attempt && is_endpoint(&attempt->lb, &syn->destination, syn->destination_port)) {
		count_retransmit(attempt);
		if (attempt->captured && attempt->syn_ifindex == skb->ifindex)
			copy_packet(skb, syn, attempt, HP_SENSOR_FROM_POD);
		release(attempt);
		return 0;
	}
	/* Read once: the verifier takes no field by a pointer to another. */
	ifindex = skb->ifindex;
	asm volatile("" : "+r"(ifindex));
	source = find_source(&syn->source);
	ownership = check_source(skb, syn, source);
	if (ownership == FORGED) {
		if (attempt)
			release(attempt);
		return 0;
	}
	if (!source || source->ifindex != ifindex)
		source = find_source(&syn->source);
	if (attempt) {
		forget(attempt);
		release(attempt);
	}
	now = bpf_ktime_get_ns();
	set_endpoint(&lb, &syn->destination, syn->destination_port);
	if (add_attempt(set, &key, &lb, frontend, ifindex, ownership == UNKNOWN ? HP_UNVERIFIED : 0,
			now, HP_NAMED))
		copy_first(skb, syn, &key, HP_SENSOR_FROM_POD);
	note_caller(syn, source, now);
	if (syn->payload_length)
		add_fast_open_alias(&key, syn->payload_length, ifindex, now);
	return 0;
}

/* A wrong SYN-ACK as it leaves a pod. False if its source is forged: then it is nobody's. */
static __noinline int note_left(struct __sk_buff *skb, const struct segment *synack,
				struct hp_attempt *attempt)
{
	enum hp_ownership ownership = check_source(skb, synack, find_source(&synack->source));

	/* By netkit the node does not tell where the client has it from. */
	if (ownership != OWNED)
		set_flag(attempt, HP_ANSWER_UNVERIFIED);
	if (ownership == FORGED)
		return false;
	note_suspect(attempt, synack, skb->ifindex, &attempt->synack_sent, HP_SYNACK_LEFT);
	return true;
}

/*
 * S3 at the target of a node port that hides its clients (externalTrafficPolicy Cluster): the
 * SYN-ACK is for the node, and only its ISN says for whom. The client will be told by the node
 * port.
 */
static __noinline int on_masqueraded_synack(struct __sk_buff *skb, const struct segment *synack)
{
	struct hp_attempt *attempt = find_by_isn(synack->acknowledgment - 1);
	bool is_own = false;

	if (!attempt)
		return 0;
	/* Not returned: the node translates for its own pods, and will undo it. */
	if ((attempt->flags & HP_RETURNED) && is_node_address(&synack->destination)) {
		if (!(attempt->flags & (HP_SYNACK_LEFT | HP_MISMATCHED)))
			is_own = note_left(skb, synack, attempt);
		else
			is_own = attempt->captured && !is_forged(skb, synack);
	}
	if (is_own && attempt->captured)
		copy_packet(skb, synack, attempt, HP_SENSOR_FROM_POD);
	release(attempt);
	return 0;
}

/* False if its source is forged. */
static __noinline int suspect_synack(struct __sk_buff *skb, const struct segment *synack,
				     struct hp_attempt *attempt)
{
	enum hp_conntrack conntrack = HP_CONNTRACK_UNCHECKED;

	if (!is_first_wrong(synack, attempt))
		return !attempt->captured || !is_forged(skb, synack);
	if (!note_left(skb, synack, attempt))
		return false;
	/*
	 * To an alias the node's SNAT would have to undo its work first: the entry would not tell.
	 * Nor is there one of an unsolicited SYN's.
	 */
	if (same_address(&attempt->key.client, &synack->destination) &&
	    !(attempt->flags & HP_UNSOLICITED))
		conntrack = conntrack_verdict(skb, attempt, synack);
	attempt->conntrack = conntrack;
	if (conntrack != HP_CONNTRACK_UNCHECKED)
		attempt->conntrack_source = HP_CONNTRACK_SOURCE_KERNEL;
	if (conntrack == HP_CONNTRACK_TRANSLATED) {
		set_flag(attempt, HP_TRANSLATED);
		COUNT_LB(attempt, translations);
	}
	return true;
}

/* S3 at the target, S5: only suspicion, since the reply may still be translated or routed back to
 * the LB. */
__noinline int on_pod_synack(struct __sk_buff *skb, const struct segment *synack)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!synack)
		return 0;
	/* Nearly all answer no SYN to a load balancer, and the tables are cold. */
	if (!may_answer_syn(synack->acknowledgment))
		return 0;
	set_answered_key(&key, synack);
	attempt = find_any(&key);
	if (!attempt)
		return on_masqueraded_synack(skb, synack);
	if (suspect_synack(skb, synack, attempt) && attempt->captured)
		copy_packet(skb, synack, attempt, HP_SENSOR_FROM_POD);
	release(attempt);
	return 0;
}

/* Where nobody tells whose the client's address is: its ACK and RST come by the device that its SYN
 * came by. */
static __always_inline bool is_strangers(const struct hp_attempt *attempt, __u32 ifindex)
{
	return (attempt->flags & HP_UNVERIFIED) && attempt->syn_ifindex != ifindex;
}

/*
 * S4, S6: a pod refuses a SYN-ACK with RST, seq = the SYN-ACK's ack (RFC 9293, 3.5.2). One to the
 * load balancer says that the load balancer answered.
 */
__noinline int on_pod_reset(struct __sk_buff *skb, const struct segment *reset)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!reset)
		return 0;
	set_key(&key, &reset->source, reset->source_port, reset->sequence - 1);
	attempt = find_any(&key);
	if (!attempt)
		return 0;
	/* A target knows the ISN that it was sent. */
	if (!is_forged(skb, reset) && !is_strangers(attempt, skb->ifindex)) {
		if (!(attempt->flags & HP_UNSOLICITED) &&
		    is_endpoint(&attempt->lb, &reset->destination, reset->destination_port))
			conclude_answered(attempt, false);
		else
			conclude_refused_by_client(attempt, &reset->destination,
						   reset->destination_port);
		if (attempt->captured)
			copy_packet(skb, reset, attempt, HP_SENSOR_FROM_POD);
	}
	release(attempt);
	return 0;
}

/*
 * S6 where the answer passes no hook on its way to the pod (bpf_redirect_peer): only a client that
 * has it acknowledges it.
 */
__noinline int on_pod_ack(struct __sk_buff *skb, const struct segment *ack)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!ack)
		return 0;
	set_key(&key, &ack->source, ack->source_port, ack->sequence - 1);
	attempt = find_attempt(&key);
	if (!attempt)
		return 0;
	if (is_endpoint(&attempt->lb, &ack->destination, ack->destination_port) &&
	    !is_forged(skb, ack) && !is_strangers(attempt, skb->ifindex)) {
		if (attempt->captured)
			copy_packet(skb, ack, attempt, HP_SENSOR_FROM_POD);
		conclude_answered(attempt, false);
	}
	release(attempt);
	return 0;
}
