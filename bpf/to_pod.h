/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* to_pod: what a pod is given. S3 as delivered, S6. */
#pragma once

#include "answers.h"
#include "pending.h"

__noinline int on_answer_to_pod(struct __sk_buff *skb, const struct segment *answer)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!answer)
		return 0;
	set_key(&key, &answer->destination, answer->destination_port, answer->acknowledgment - 1);
	attempt = find_attempt(&key);
	/* A bridge may flood it to other pods' ports, too. */
	if (!attempt || attempt->syn_ifindex != skb->ifindex)
		return 0;
	return on_delivered(skb, answer, attempt);
}
