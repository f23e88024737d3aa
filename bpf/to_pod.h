/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* to_pod: what a pod is given. S3 as delivered, S6. */
#pragma once

#include "answers.h"
#include "pending.h"
#include "source_check.h"

/*
 * Who can have sent a wrong answer: whom a hook has seen send it, or come in, or to whom the SYN
 * came back; else nobody whose packets pass `from_pod`, which has refused it, or in whose name
 * somebody else would have to speak.
 */
static __noinline bool is_credible(struct __sk_buff *skb, const struct segment *answer,
				   const struct hp_attempt *attempt)
{
	__u32 in = skb->ingress_ifindex; /* 0: the node's own, or past the receive path (netkit) */
	struct hp_device *device;

	if ((attempt->flags & (HP_SYNACK_LEFT | HP_SYNACK_ARRIVED)) &&
	    is_endpoint(&attempt->synack_sent, &answer->source, answer->source_port))
		return true;
	if ((attempt->flags & HP_RETURNED) &&
	    is_endpoint(&attempt->returned, &answer->source, answer->source_port))
		return true;
	if (!in)
		return true;
	device = find_device(skb->ifindex);
	/* By way of the node from another port of its bridge. */
	if (device && device->master_ifindex == in)
		return false;
	return !is_pod_device(in) && !is_local_pod(skb, &answer->source, answer->ipv6);
}

/*
 * The client's address: what is for it is brought to the device that its SYN came by, so that is
 * the owner's. Not among the ports of a bridge, which brings it to whoever has sent last.
 */
static __always_inline void verify_client(struct __sk_buff *skb, struct hp_attempt *attempt)
{
	struct hp_device *device;

	if (!(attempt->flags & HP_UNVERIFIED))
		return;
	device = find_device(skb->ifindex);
	if (device && !device->master_ifindex)
		__sync_fetch_and_and(&attempt->flags, ~HP_UNVERIFIED);
}

static __always_inline int give_to_pod(struct __sk_buff *skb, const struct segment *answer,
				       struct hp_attempt *attempt)
{
	/* A bridge may flood it to other pods' ports, too. */
	if (attempt->syn_ifindex != skb->ifindex)
		return 0;
	if (is_endpoint(&attempt->lb, &answer->source, answer->source_port)) {
		if (!(answer->flags & TCP_RST))
			return conclude_answered_on_its_way(attempt);
		return conclude_answered(attempt, true);
	}
	/* A stray RST is no handshake: the client's stack ignores it. */
	if ((answer->flags & TCP_RST) || !is_credible(skb, answer, attempt))
		return 0;
	verify_client(skb, attempt);
	if (answers_may_change)
		return suspect_delivery(skb, answer, attempt);
	return on_delivered(skb, answer, attempt);
}

__noinline int on_answer_to_pod(struct __sk_buff *skb, const struct segment *answer)
{
	struct hp_attempt *attempt;

	if (!answer)
		return 0;
	attempt = find_answered(answer);
	if (!attempt)
		return 0;
	give_to_pod(skb, answer, attempt);
	if (attempt->captured && attempt->syn_ifindex == skb->ifindex)
		copy_packet(skb, answer, attempt, HP_SENSOR_TO_POD);
	release(attempt);
	return 0;
}
