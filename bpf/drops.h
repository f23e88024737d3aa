/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* S4: what the kernel dropped, and why. */
#pragma once

#include "conntrack_question.h"
#include "kernel_types.h"
#include "maps.h"
#include "pending.h"
#include "verdict.h"

/* NULL before the packet has been routed. The lowest bit says whether a reference is held
 * (SKB_DST_NOREF). */
static __always_inline struct dst_entry *route_of(struct sk_buff *skb)
{
	return (struct dst_entry *)(skb->_skb_refdst & ~1UL);
}

/*
 * Which drops of a returned SYN end the attempt: the kernel refuses its source on this device, so
 * that every retransmit will fare the same. Any other (a policy, a full backlog, a connection in
 * TIME_WAIT) says nothing of the answer's way.
 */
static __always_inline enum hp_cause refused_source(struct sk_buff *skb,
						    const struct hp_attempt *attempt, __u32 reason)
{
	if (IS_DROP_REASON(reason, IP_RPFILTER))
		return HP_CAUSE_HAIRPIN_RP_FILTER;
	if (IS_DROP_REASON(reason, IP_LOCAL_SOURCE))
		return HP_CAUSE_HAIRPIN_MARTIAN;
	/*
	 * Before 6.14 a martian has no reason of its own: refused before it had a route, with a
	 * source that is local to where it was to be taken in.
	 */
	if (!bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_IP_LOCAL_SOURCE) &&
	    IS_DROP_REASON(reason, NOT_SPECIFIED) && !route_of(skb) &&
	    (is_nodes_own(attempt) || (attempt->flags & HP_SNATED) ||
	     same_address(&attempt->returned.address, &attempt->key.client)))
		return HP_CAUSE_HAIRPIN_MARTIAN;
	return HP_CAUSE_NONE;
}

/*
 * Had routing decided to hand it to a pod, rather than to send it out of the node, where the load
 * balancer's fabric may still restore its source?
 */
static __always_inline bool was_routed_to_pod(struct sk_buff *skb)
{
	struct dst_entry *route = route_of(skb);
	struct hp_device *device;
	__u32 ifindex;

	if (!route)
		return false;
	ifindex = BPF_CORE_READ(route, dev, ifindex);
	device = bpf_map_lookup_elem(&devices, &ifindex);
	return device && device->role == HP_DEVICE_POD;
}

#define CILIUM_FIRST_DROP 130
#define TC_ACT_SHOT	  2

/*
 * Cilium's programs leave in skb->cb why they drop a packet, for the notification that they make of
 * it (1.13 to 1.20): source and destination identity, error, endpoint, and how the program ends.
 */
static __always_inline void read_cilium_drop(struct sk_buff *skb, __u32 reason,
					     struct hp_cilium_drop *drop)
{
	struct {
		__u32 source_identity;
		__u32 destination_identity;
		__u32 error; /* lowest byte; an extended error above it */
		__u32 endpoint;
		__u32 exit; /* lowest byte; file and line above it */
	} record;

	if (!beside_cilium)
		return;
	/* netkit has no reason of its own for what its programs drop. */
	if (!IS_DROP_REASON(reason, TC_INGRESS) && !IS_DROP_REASON(reason, TC_EGRESS) &&
	    !IS_DROP_REASON(reason, NOT_SPECIFIED))
		return;
	if (bpf_probe_read_kernel(&record, sizeof(record),
				  (void *)skb + bpf_core_field_offset(struct sk_buff, cb) +
				      bpf_core_field_offset(struct qdisc_skb_cb, data)))
		return;
	if ((record.exit & 0xff) != TC_ACT_SHOT || (record.error & 0xff) < CILIUM_FIRST_DROP)
		return;
	drop->source_identity = record.source_identity;
	drop->destination_identity = record.destination_identity;
	drop->endpoint = record.endpoint;
	drop->reason = record.error & 0xff;
}

static __always_inline int lose_syn(struct sk_buff *skb, const struct segment *syn,
				    struct ending *ending, struct hp_attempt *attempt)
{
	/*
	 * Only the one that came back: on its way out it may be dropped for any reason. A node port
	 * may have given it another destination by now.
	 */
	if (!(attempt->flags & HP_RETURNED) ||
	    is_endpoint(&attempt->lb, &syn->destination, syn->destination_port))
		return 0;
	ending->syn_dropped = 1;
	read_cilium_drop(skb, ending->drop_reason, &ending->cilium);
	ending->cause = refused_source(skb, attempt, ending->drop_reason);
	if (ending->cause != HP_CAUSE_NONE)
		return conclude_misdirected(attempt, ending);
	return suspect_drop(attempt, ending);
}

static __always_inline int on_dropped_syn(struct sk_buff *skb, const struct segment *syn,
					  struct ending *ending)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	set_key(&key, &syn->source, syn->source_port, syn->sequence);
	attempt = find_attempt(&key);
	if (!attempt)
		return 0;
	lose_syn(skb, syn, ending, attempt);
	if (attempt->captured)
		note_packet(attempt, HP_SENSOR_DROP, 0, syn->flags, ending->drop_reason);
	release(attempt);
	return 0;
}

static __always_inline int lose_synack(struct sk_buff *skb, const struct segment *synack,
				       struct ending *ending, struct hp_attempt *attempt)
{
	if (is_endpoint(&attempt->lb, &synack->source, synack->source_port) ||
	    (attempt->flags & HP_TRANSLATED))
		return 0;
	read_cilium_drop(skb, ending->drop_reason, &ending->cilium);
	/* On its way into the client, whose policy it did not pass as a reply. */
	if (ending->cilium.endpoint &&
	    ((attempt->flags & HP_RETURNED) || !conntrack_is_open(attempt)))
		return conclude_misdirected(attempt, ending);
	/* A reply that conntrack could not be asked about may be one that the node would have
	 * translated. */
	if (was_routed_to_pod(skb) &&
	    ((attempt->flags & HP_RETURNED) || !conntrack_is_open(attempt)))
		return conclude_misdirected(attempt, ending);
	return suspect_drop(attempt, ending);
}

static __always_inline int on_dropped_synack(struct sk_buff *skb, const struct segment *synack,
					     struct ending *ending)
{
	struct hp_attempt *attempt;

	attempt = find_answered(synack);
	if (!attempt)
		return 0;
	lose_synack(skb, synack, ending, attempt);
	if (attempt->captured)
		note_packet(attempt, HP_SENSOR_DROP, 0, synack->flags, ending->drop_reason);
	release(attempt);
	return 0;
}
