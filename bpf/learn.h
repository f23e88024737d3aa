/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * S0: a load balancer that nobody has named. Who sends a client's SYN back to the client's own
 * node, with its source kept and for another destination than the client's, is one.
 */
#pragma once

#include "noted_syns.h"
#include "pending.h"
#include "source_check.h"

enum learned {
	NOT_NOTED,  /* nobody here has sent it */
	OWN_SYN,    /* a client here has, but it tells of no load balancer */
	IS_ATTEMPT, /* from now on it is found by its own fields */
};

/*
 * Of one that its device has sent: forged, or as add_attempt() takes it. What an uplink's device
 * has sent for no other is the node's, or a pod's that has no device here (client_of() in
 * to_net.h).
 */
static __noinline int flags_of_noted(struct __sk_buff *skb, const union noted_syn *noted, bool ipv6)
{
	if (!is_pod_device(noted->ifindex)) {
		if (is_node_address(&noted->client))
			return HP_HOST_CLIENT;
		return has_device(skb, &noted->client, ipv6) ? -1 : HP_HOST_CLIENT | HP_UNVERIFIED;
	}
	switch (ask_owner(skb, &noted->client, ipv6, noted->ifindex, (const __u8 *)noted->sender)) {
	case OWNED:
		return 0;
	case UNKNOWN:
		return HP_UNVERIFIED;
	case FORGED:
		break;
	}
	count(HP_TOTAL_SPOOFED_SOURCES);
	spoofing_device = noted->ifindex;
	return -1;
}

static __noinline int add_learned(const struct segment *syn, const union noted_syn *noted,
				  __u32 flags, __u64 sent_ns)
{
	struct hp_endpoint lb = {};
	struct hp_attempt_key key, name;
	struct hp_attempt *attempt;
	struct hp_index_set *set;

	set_key(&key, &noted->client, noted->ports, noted->isn);
	set_key(&name, &syn->source, syn->source_port, syn->sequence);
	if (!same_address(&name.client, &key.client))
		flags |= HP_SNATED;
	attempt = find_exactly(&key);
	if (!attempt) {
		set = set_of(&key);
		if (!set)
			return OWN_SYN;
		set_endpoint(&lb, &noted->destination, noted->ports >> 16);
		add_attempt(set, &key, &lb, NULL, noted->ifindex, flags, sent_ns, HP_LEARNED);
		if (syn->payload_length)
			add_fast_open_alias(&key, syn->payload_length, noted->ifindex, sent_ns);
		attempt = find_exactly(&key);
	}
	if (!attempt)
		return OWN_SYN;
	if (!same_key(&name, &key))
		add_alias(&name, &key, account_in(attempt->flags), sent_ns);
	release(attempt);
	return IS_ATTEMPT;
}

/*
 * `syn` came in on an uplink, and belongs to no attempt. It is a client's own if the client's
 * address and ISN are, or the ISN is and the address is the node's, which hides its pods; load
 * balancers and the node may change the port.
 */
__noinline int learn(struct __sk_buff *skb, const struct segment *syn)
{
	union noted_syn noted;
	__u64 age;
	int flags;

	if (!syn || !read_note(syn->sequence, &noted))
		return NOT_NOTED;
	age = note_age_ns(&noted);
	if (age > handshake_timeout_ns)
		return NOT_NOTED;
	if (!same_address(&noted.client, &syn->source) && !is_node_address(&syn->source))
		return NOT_NOTED;
	/* It has gone astray, no more, or this node has given it the destination. */
	if (noted.translated || is_noted_destination(&noted, syn))
		return OWN_SYN;
	flags = flags_of_noted(skb, &noted, syn->ipv6);
	if (flags < 0)
		return OWN_SYN;
	return add_learned(syn, &noted, flags, bpf_ktime_get_ns() - age);
}
