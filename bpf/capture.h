/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packets themselves. Of an attempt that was marked, at its SYN (the agent has asked for its
 * pair's next one) or as the first of an incident, every packet that a hook sees from then on is
 * copied into the ring. The mark is in the line of the attempt that each of its packets needs.
 */
#pragma once

#include "maps.h"
#include "parse.h"

/* Are the packets of this new attempt wanted? */
static __noinline bool take_capture(const struct hp_attempt_key *attempt,
				    const struct hp_endpoint *lb)
{
	struct hp_caller_key pair = {.client = attempt->client, .lb = *lb};
	__u32 *left = bpf_map_lookup_elem(&captures, &pair);
	__u32 seen;

	if (!left)
		return false;
	seen = *left;
	return seen && __sync_val_compare_and_swap(left, seen, seen - 1) == seen;
}

/* NULL if this attempt has had its share, or, counted, where there is no room. */
static __always_inline struct hp_packet *begin_packet(struct hp_attempt *attempt, __u32 sensor,
						      __u32 ifindex, __u32 tcp_flags)
{
	struct hp_packet *packet;

	if (attempt->captured > HP_PACKETS_AN_ATTEMPT)
		return NULL;
	attempt->captured++;
	packet = bpf_ringbuf_reserve(&events, sizeof(*packet), 0);
	if (!packet) {
		count(HP_TOTAL_RING_FULL);
		return NULL;
	}
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->kind = HP_EVENT_PACKET;
	packet->ifindex = ifindex;
	packet->time_ns = bpf_ktime_get_ns();
	packet->attempt = attempt->key;
	packet->lb = attempt->lb;
	packet->sensor = sensor;
	packet->tcp_flags = tcp_flags;
	return packet;
}

static __always_inline void end_packet(struct hp_packet *packet)
{
	bpf_ringbuf_submit(packet, 0);
	count(HP_TOTAL_EVENTS);
}

/* Of the packet, as its IP header says; 0 if that cannot be read. */
static __always_inline __u32 length_of(struct __sk_buff *skb, __u32 network, bool ipv6)
{
	__be16 length;

	if (read_header(skb, NULL,
			network + (ipv6 ? offsetof(struct ipv6hdr, payload_len)
					: offsetof(struct iphdr, tot_len)),
			&length, sizeof(length)))
		return 0;
	return bpf_ntohs(length) + (ipv6 ? sizeof(struct ipv6hdr) : 0);
}

/* As a hook saw it, up to where its payload begins. */
__noinline int copy_packet(struct __sk_buff *skb, const struct segment *segment,
			   struct hp_attempt *attempt, __u32 sensor)
{
	struct hp_packet *packet;
	__u32 network;
	__u64 length;
	__be16 protocol;

	if (!attempt || !segment)
		return 0;
	packet = begin_packet(attempt, sensor, skb->ifindex, segment->flags);
	if (!packet)
		return 0;
	network = find_network(skb, &protocol);
	packet->length = length_of(skb, network, segment->ipv6);
	/* An IP header may say anything. */
	if (packet->length < segment->payload_length)
		packet->length = segment->payload_length;
	length = packet->length - segment->payload_length;
	if (length > HP_PACKET_DATA)
		length = HP_PACKET_DATA;
	/* The compiler knows its range, and folds checks into one of which the verifier learns
	 * nothing. 6.1 learns nothing of "not 0" either; no IP header is shorter than this. */
	asm volatile("" : "+r"(length));
	if (length >= sizeof(struct iphdr)) {
		asm volatile("" : "+r"(length));
		if (length <= HP_PACKET_DATA &&
		    !bpf_skb_load_bytes(skb, network, packet->data, length))
			packet->data_length = length;
	}
	end_packet(packet);
	return 0;
}

/* That the kernel dropped one, or a stack refuses it: the hooks have seen its bytes. */
__noinline int note_packet(struct hp_attempt *attempt, __u32 sensor, __u32 ifindex, __u32 tcp_flags,
			   __u32 drop_reason)
{
	struct hp_packet *packet;

	if (!attempt)
		return 0;
	packet = begin_packet(attempt, sensor, ifindex, tcp_flags);
	if (!packet)
		return 0;
	packet->drop_reason = drop_reason;
	end_packet(packet);
	return 0;
}
