/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* to_pod: what a pod is given. S3 as delivered, S6. */
#pragma once

#include "answers.h"
#include "pending.h"

/*
 * A wrong answer that a program behind this one may still translate back (Cilium with endpoint
 * routes does it here): what the client makes of it is told by its ACK or its RST, by a drop, by
 * the datapath's own table, or by nothing within the settle time.
 */
static __always_inline int suspect_delivery(struct __sk_buff *skb, const struct segment *answer,
					    struct hp_attempt *attempt)
{
	if ((answer->flags & TCP_RST) ||
	    (attempt->flags & (HP_SYNACK_PASSED | HP_SYNACK_DELIVERED | HP_MISMATCHED)))
		return 0;
	note_suspect(attempt, answer, skb->ifindex, &attempt->synack_delivered, HP_SYNACK_PASSED);
	return 0;
}

__noinline int on_answer_to_pod(struct __sk_buff *skb, const struct segment *answer)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!answer)
		return 0;
	set_answered_key(&key, answer);
	attempt = find_attempt(&key);
	/* A bridge may flood it to other pods' ports, too. */
	if (!attempt || attempt->syn_ifindex != skb->ifindex)
		return 0;
	/* What is for the client is brought to the device that its SYN came by: that is the
	 * owner's. */
	if (attempt->flags & HP_UNVERIFIED)
		__sync_fetch_and_and(&attempt->flags, ~HP_UNVERIFIED);
	if (is_endpoint(&attempt->lb, &answer->source, answer->source_port)) {
		if (!(answer->flags & TCP_RST))
			return conclude_answered_on_its_way(attempt);
	} else if (answers_may_change) {
		return suspect_delivery(skb, answer, attempt);
	}
	return on_delivered(skb, answer, attempt);
}
