/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* to_net: what leaves on an uplink. Aliases by SNAT, and the SYNs of the node itself. */
#pragma once

#include "frontend.h"
#include "pending.h"

/* A node port passes the returned SYN on to another node. */
static __noinline int on_forwarded_syn(const struct segment *syn)
{
	struct hp_attempt *attempt = find_by_isn(syn->sequence);

	if (!attempt)
		return 0;
	if (attempt->flags & HP_RETURNED)
		set_flag(attempt, HP_FORWARDED);
	release(attempt);
	return 0;
}

/* S1 on the way out: a pod's SYN under the node's address, or the SYN of a client on the node
 * itself. */
__noinline int on_net_leaving_syn(struct __sk_buff *skb, const struct segment *syn)
{
	struct hp_attempt_key key;
	struct hp_index_set *set;
	struct hp_attempt *attempt;
	struct hp_frontend *frontend;
	__u64 now;

	if (!syn)
		return 0;
	if (!may_be_frontend(&syn->destination))
		return on_forwarded_syn(syn);
	set_key(&key, &syn->source, syn->source_port, syn->sequence);
	set = set_of(&key);
	if (!set)
		return 0;
	attempt = find_in(set, &key);
	if (attempt) {
		/* Nearly always a pod's that from_pod has just seen. */
		bool same = is_endpoint(&attempt->lb, &syn->destination, syn->destination_port);

		if (same && (attempt->flags & HP_HOST_CLIENT))
			count_retransmit(attempt);
		release(attempt);
		if (same)
			return 0;
	}
	if (!is_frontend(&syn->destination, syn->destination_port, &frontend))
		return on_forwarded_syn(syn);
	if (attempt)
		return 0;
	attempt = find_by_isn(syn->sequence);
	if (attempt) {
		bool renamed = !(attempt->flags & HP_HOST_CLIENT) &&
			       is_endpoint(&attempt->lb, &syn->destination, syn->destination_port);

		if (renamed) {
			set_flag(attempt, HP_SNATED);
			add_alias(&key, &attempt->key, account_in(attempt->flags),
				  attempt->last_ns);
		}
		release(attempt);
		if (renamed)
			return 0;
	}
	/* What is forwarded for somebody else is not this node's to judge. */
	if (!is_given_up(syn->sequence) && is_node_address(&syn->source)) {
		now = bpf_ktime_get_ns();
		add_attempt(set, &key, syn, frontend, skb->ifindex, HP_HOST_CLIENT, now);
		note_caller(syn, NULL, now);
	}
	return 0;
}
