/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Wrong answers, and who is believed to have got them. Shared by the hooks. */
#pragma once

#include "pending.h"
#include "verdict.h"

static __always_inline void note_synack(struct hp_attempt *attempt, const struct segment *synack,
					__u32 ifindex)
{
	if (attempt->synack_ns)
		return;
	attempt->synack_ns = bpf_ktime_get_ns();
	attempt->synack_ifindex = ifindex;
	attempt->synack_ack = synack->acknowledgment;
}

/* A wrong SYN-ACK that is only suspicion so far: whose, in the endpoint that goes with the flag. */
static __always_inline void note_suspect(struct hp_attempt *attempt, const struct segment *synack,
					 __u32 ifindex, struct hp_endpoint *whose,
					 enum hp_attempt_flag flag)
{
	note_synack(attempt, synack, ifindex);
	set_endpoint(whose, &synack->source, synack->source_port);
	set_flag(attempt, flag);
}

/* What an attempt was counted as stays: a later, other answer must not rename its incident. */
static __always_inline void note_delivered(struct hp_attempt *attempt,
					   const struct hp_address *responder, __u16 port)
{
	if (attempt->flags & (HP_SYNACK_DELIVERED | HP_MISMATCHED))
		return;
	set_endpoint(&attempt->synack_delivered, responder, port);
	set_flag(attempt, HP_SYNACK_DELIVERED);
}

/*
 * S4: a client's stack refuses the answer of `responder`. Believed only of who has been seen to
 * answer, or to be sent the SYN: a pod can send itself any SYN-ACK, and RST to anybody. Where no
 * client's SYN began it, only of a pod here that answered, or the node: the network can send both
 * the SYN and the answer to it, in anybody's name.
 */
static __noinline int conclude_refused_by_client(struct hp_attempt *attempt,
						 const struct hp_address *responder, __u16 port)
{
	struct ending ending = {.outcome = HP_OUTCOME_RESET_BY_CLIENT};

	if (!is_endpoint(&attempt->synack_delivered, responder, port) &&
	    !is_endpoint(&attempt->synack_sent, responder, port) &&
	    !is_endpoint(&attempt->returned, responder, port))
		return 0;
	if (attempt->flags & HP_UNSOLICITED) {
		if (!(attempt->flags & HP_SYNACK_LEFT) && !is_node_address(responder))
			return 0;
		ending.cause = HP_CAUSE_UNSOLICITED_SYNACK;
	}
	note_delivered(attempt, responder, port);
	return conclude_misdirected(attempt, &ending);
}

/* What is not the load balancer's answer, by an attempt to which no other has been seen to leave.
 */
static __always_inline bool is_first_wrong(const struct segment *synack,
					   const struct hp_attempt *attempt)
{
	return !is_endpoint(&attempt->lb, &synack->source, synack->source_port) &&
	       !(attempt->flags & (HP_SYNACK_LEFT | HP_TRANSLATED | HP_MISMATCHED));
}

/* S3, conclusive: the client is given a wrong SYN-ACK. */
static __always_inline int on_delivered(struct __sk_buff *skb, const struct segment *answer,
					struct hp_attempt *attempt)
{
	struct ending ending = {};

	note_synack(attempt, answer, skb->ifindex);
	note_delivered(attempt, &answer->source, answer->source_port);
	return conclude_misdirected(attempt, &ending);
}

/*
 * A wrong answer that a program behind this one may still translate back (Cilium with endpoint
 * routes does it here): what the client makes of it is told by its ACK or its RST, by a drop, by
 * the datapath's own table, or by nothing within the settle time.
 */
static __always_inline int suspect_delivery(struct __sk_buff *skb, const struct segment *answer,
					    struct hp_attempt *attempt)
{
	if (attempt->flags & (HP_SYNACK_PASSED | HP_SYNACK_DELIVERED | HP_MISMATCHED))
		return 0;
	note_suspect(attempt, answer, skb->ifindex, &attempt->synack_delivered, HP_SYNACK_PASSED);
	return 0;
}
