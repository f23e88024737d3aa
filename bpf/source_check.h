/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A pod must not be able to forge evidence about another: does the source address of a packet
 * belong to the pod device it came from? Only proof of the contrary counts as forged. Where routes
 * say nothing about devices (Cilium sends every pod through cilium_host) an attempt is kept as
 * HP_UNVERIFIED.
 */
#pragma once

#include "maps.h"
#include "parse.h"

#ifndef AF_INET
#define AF_INET	 2
#define AF_INET6 10
#endif
#define LOOPBACK_IFINDEX 1

/*
 * The device this node would reach `segment->source` by, 0 if it cannot be told. Asked as if for
 * the node's own traffic (loopback as input), so that policy rules for the pod's packets (`ip rule
 * iif veth2`) do not answer instead. `mac` receives the neighbour's address where the kernel knows
 * it.
 */
static __always_inline __u32 route_device(struct __sk_buff *skb, const struct segment *segment,
					  __u8 mac[ETH_ALEN], bool *mac_known)
{
	struct bpf_fib_lookup fib = {.ifindex = LOOPBACK_IFINDEX};
	long error;

	if (segment->ipv6) {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_dst, segment->source.word, sizeof(fib.ipv6_dst));
	} else {
		fib.family = AF_INET;
		fib.ipv4_dst = segment->source.word[3];
	}
	error = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	*mac_known = error == BPF_FIB_LKUP_RET_SUCCESS;
	if (*mac_known)
		__builtin_memcpy(mac, fib.dmac, ETH_ALEN);
	if (error < 0 || fib.ifindex == LOOPBACK_IFINDEX)
		return 0;
	return fib.ifindex;
}

/* True unless `mac` is known and differs from the packet's source: ports of one bridge share its
 * routes. */
static __always_inline bool same_neighbour(struct __sk_buff *skb, const __u8 mac[ETH_ALEN],
					   bool mac_known)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = data;

	if (!mac_known || (void *)(ethernet + 1) > end)
		return true;
	for (int i = 0; i < ETH_ALEN; i++)
		if (ethernet->h_source[i] != mac[i])
			return false;
	return true;
}

enum hp_ownership {
	OWNED,	 /* by the device that the packet came from */
	FORGED,	 /* by another, or by the node */
	UNKNOWN, /* nobody tells: not even the first to use it is believed to own it */
};

static __noinline int who_owns_source(struct __sk_buff *skb, const struct segment *segment)
{
	__u32 self = skb->ifindex, route;
	struct hp_address source = segment->source;
	struct hp_source *known = bpf_map_lookup_elem(&sources, &source);
	struct hp_source verified = {.ifindex = self};
	struct hp_device *device;
	enum hp_ownership ownership = OWNED;
	__u8 mac[ETH_ALEN] = {};
	bool mac_known;

	if (known && known->ifindex == self)
		return known->unverified ? UNKNOWN : OWNED;
	if (bpf_map_lookup_elem(&node_addresses, &source))
		return FORGED;
	route = route_device(skb, segment, mac, &mac_known);
	if (route != self) {
		/* Another pod's device, or the way out of the node: not this pod's address. */
		if (bpf_map_lookup_elem(&devices, &route))
			return FORGED;
		device = bpf_map_lookup_elem(&devices, &self);
		if (!device || !device->master_ifindex || device->master_ifindex != route)
			ownership = UNKNOWN;
		else if (!same_neighbour(skb, mac, mac_known))
			return FORGED;
	}
	verified.unverified = ownership == UNKNOWN;
	bpf_map_update_elem(&sources, &source, &verified, BPF_ANY);
	return ownership;
}

/* What is forged is counted, never believed. */
static __always_inline bool count_if_forged(struct __sk_buff *skb, const struct segment *segment)
{
	if (who_owns_source(skb, segment) != FORGED)
		return false;
	count(HP_TOTAL_SPOOFED_SOURCES);
	spoofing_device = skb->ifindex;
	return true;
}
