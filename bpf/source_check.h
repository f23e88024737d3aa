/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A pod must not be able to forge evidence about another: does the source address of a packet
 * belong to the pod device it came from? Asked are Cilium's endpoints, where the agent can read
 * them, then routes. Only proof of the contrary counts as forged: an address that is another pod's,
 * or the node's. Where nobody tells (Cilium sends every pod through cilium_host, a bridge all its
 * ports, the uplink is the way to the rest of the world) it is not known, and who has sent from it
 * first makes no difference: what such a packet says is kept, and is not conclusive by itself.
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
 * The device this node would reach `address` by, 0 if it cannot be told. Asked as if for the node's
 * own traffic (loopback as input), so that policy rules for the pod's packets (`ip rule iif veth2`)
 * do not answer instead. `mac` receives the neighbour's address where the kernel knows it.
 */
static __noinline __u32 route_device(struct __sk_buff *skb, const struct hp_address *address,
				     bool ipv6, __u8 mac[ETH_ALEN], bool *mac_known)
{
	struct bpf_fib_lookup fib = {.ifindex = LOOPBACK_IFINDEX};
	long error;

	if (ipv6) {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_dst, address->word, sizeof(fib.ipv6_dst));
	} else {
		fib.family = AF_INET;
		fib.ipv4_dst = address->word[3];
	}
	error = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	*mac_known = error == BPF_FIB_LKUP_RET_SUCCESS;
	if (*mac_known)
		__builtin_memcpy(mac, fib.dmac, ETH_ALEN);
	if (error < 0 || fib.ifindex == LOOPBACK_IFINDEX)
		return 0;
	return fib.ifindex;
}

static __always_inline struct hp_device *find_device(__u32 ifindex)
{
	return bpf_map_lookup_elem(&devices, &ifindex);
}

static __always_inline bool is_pod_device(__u32 ifindex)
{
	struct hp_device *device = find_device(ifindex);

	return device && device->role == HP_DEVICE_POD;
}

/* Is the address that of a pod of this node: by Cilium, the API server, or a route to its device?
 */
static __noinline bool is_local_pod(struct __sk_buff *skb, const struct hp_address *address,
				    bool ipv6)
{
	struct hp_address key = *address;
	__u8 mac[ETH_ALEN] = {};
	bool mac_known;

	return bpf_map_lookup_elem(&owners, &key) ||
	       is_pod_device(route_device(skb, address, ipv6, mac, &mac_known));
}

/* Is it that of a pod whose device is watched, by Cilium or a route to it? What does not come by
 * that device is not its. */
static __noinline bool has_device(struct __sk_buff *skb, const struct hp_address *address,
				  bool ipv6)
{
	struct hp_address key = *address;
	__u32 *owner = bpf_map_lookup_elem(&owners, &key);
	__u8 mac[ETH_ALEN] = {};
	bool mac_known;

	return (owner && *owner && find_device(*owner)) ||
	       is_pod_device(route_device(skb, address, ipv6, mac, &mac_known));
}

/* What a packet was sent from; all zero, which is nobody's, if it does not say. */
static __always_inline void read_sender(struct __sk_buff *skb, __u8 sender[ETH_ALEN])
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = data;

	if ((void *)(ethernet + 1) <= end)
		__builtin_memcpy(sender, ethernet->h_source, ETH_ALEN);
}

/* True unless both are known and differ: ports of one bridge share its routes. */
static __always_inline bool may_be_neighbour(const __u8 sender[ETH_ALEN], const __u8 mac[ETH_ALEN],
					     bool mac_known)
{
	__u8 any = 0, different = 0;

	for (int i = 0; i < ETH_ALEN; i++) {
		any |= sender[i];
		different |= sender[i] ^ mac[i];
	}
	return !mac_known || !any || !different;
}

enum hp_ownership {
	OWNED,	 /* by the device that the packet came from */
	FORGED,	 /* by another, or by the node */
	UNKNOWN, /* nobody tells */
};

/* Of an address that was sent from by the device `self`, and by `sender`. `skb` may be any packet.
 */
static __always_inline enum hp_ownership ask_owner(struct __sk_buff *skb,
						   const struct hp_address *address, bool ipv6,
						   __u32 self, const __u8 sender[ETH_ALEN])
{
	struct hp_address source = *address;
	struct hp_device *device;
	__u32 route;
	__u8 mac[ETH_ALEN] = {};
	bool mac_known;
	__u32 *owner;

	if (bpf_map_lookup_elem(&node_addresses, &source))
		return FORGED;
	owner = bpf_map_lookup_elem(&owners, &source);
	if (owner && *owner == self)
		return OWNED;
	/* Not if its device is gone: then the address has moved, and the agent will hear of it. */
	if (owner && *owner && find_device(*owner))
		return FORGED;
	route = route_device(skb, &source, ipv6, mac, &mac_known);
	if (route == self)
		return OWNED;
	if (is_pod_device(route))
		return FORGED;
	device = find_device(self);
	/* Its own MAC address says nothing: a port may send from any. */
	if (device && device->master_ifindex && device->master_ifindex == route &&
	    !may_be_neighbour(sender, mac, mac_known))
		return FORGED;
	return UNKNOWN;
}

/* `known` is the entry of the packet's source, NULL if there is none. What is not known may be a
 * second later. */
static __noinline int who_owns_source(struct __sk_buff *skb, const struct segment *segment,
				      struct hp_source *known)
{
	__u32 now_s = bpf_ktime_get_ns() / 1000000000ULL;
	struct hp_address source = segment->source;
	struct hp_source asked = {.ifindex = skb->ifindex, .asked_s = now_s};
	bool is_own = known && known->ifindex == skb->ifindex;
	enum hp_ownership ownership;
	__u8 sender[ETH_ALEN] = {};

	if (is_own && known->asked_s == now_s)
		return UNKNOWN;
	read_sender(skb, sender);
	ownership = ask_owner(skb, &source, segment->ipv6, asked.ifindex, sender);
	if (ownership == FORGED)
		return FORGED;
	if (is_own) {
		known->asked_s = now_s;
		known->unverified = ownership == UNKNOWN;
		return ownership;
	}
	asked.unverified = ownership == UNKNOWN;
	bpf_map_update_elem(&sources, &source, &asked, BPF_ANY);
	return ownership;
}

/* What is forged is counted, never believed. */
static __always_inline enum hp_ownership
check_source(struct __sk_buff *skb, const struct segment *segment, struct hp_source *known)
{
	enum hp_ownership ownership;

	if (known && known->ifindex == skb->ifindex && !known->unverified)
		return OWNED;
	ownership = who_owns_source(skb, segment, known);
	if (ownership == FORGED) {
		count(HP_TOTAL_SPOOFED_SOURCES);
		spoofing_device = skb->ifindex;
	}
	return ownership;
}

static __always_inline bool is_forged(struct __sk_buff *skb, const struct segment *segment)
{
	return check_source(skb, segment, find_source(&segment->source)) == FORGED;
}
