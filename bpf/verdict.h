/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Misdirected attempts: which cause, counted once, offered to the ring. */
#pragma once

#include "pending.h"

/* What became of an attempt, as the sensor that noticed it saw it. */
struct ending {
	__u64 drop_location;
	__u32 drop_reason;
	struct hp_cilium_drop cilium;
	__u8 syn_dropped;
	__u8 outcome; /* enum hp_outcome */
	__u8 cause;   /* enum hp_cause, where the ending alone tells it; else HP_CAUSE_NONE */
};

/* Said of an address only if something places it here: its own device, or the one that it answered
 * by, a route, the API server. */
static __always_inline bool is_on_this_node(const struct hp_attempt *attempt,
					    const struct hp_endpoint *responder)
{
	bool is_target = (attempt->flags & HP_RETURNED) &&
			 same_address(&responder->address, &attempt->returned.address);

	if (same_address(&responder->address, &attempt->key.client))
		return true;
	if (is_target && (attempt->flags & (HP_SYNACK_LEFT | HP_TARGET_HERE)))
		return true;
	/* The SYN was sent to this node's card for it, and has not left again: the client's
	 * neighbour there. By where its answer passes it is not told: macvlan hands that to the
	 * card, too. */
	if (is_target && has_no_device(attempt) && !(attempt->flags & HP_FORWARDED))
		return true;
	return (attempt->flags & HP_SYNACK_LEFT) &&
	       same_address(&responder->address, &attempt->synack_sent.address);
}

static __always_inline void judge(struct hp_attempt *attempt, const struct ending *ending)
{
	const struct hp_endpoint *responder = hp_responder(attempt);
	/* What the load balancer chose, whoever the client was answered by: on a bridge, the pod
	 * behind a node port answers in its own name. */
	const struct hp_endpoint *target =
	    attempt->flags & HP_RETURNED ? &attempt->returned : responder;

	if (is_seen(responder)) {
		if (is_node_address(&responder->address))
			attempt->responder_kind = HP_RESPONDER_NODE;
		else if (is_on_this_node(attempt, responder))
			attempt->responder_kind = HP_RESPONDER_LOCAL_POD;
		else
			attempt->responder_kind = HP_RESPONDER_REMOTE;
	}
	if (ending->cause != HP_CAUSE_NONE) {
		attempt->cause = ending->cause;
		return;
	}
	if (attempt->responder_kind == HP_RESPONDER_REMOTE)
		attempt->cause = HP_CAUSE_ASYMMETRIC_REMOTE;
	else if (!is_node_address(&target->address))
		attempt->cause = HP_CAUSE_HAIRPIN_IP_TARGET;
	else if ((attempt->flags & (HP_SYNACK_DELIVERED | HP_SYNACK_PASSED)) &&
		 !(attempt->flags & (HP_SYNACK_LEFT | HP_FORWARDED)))
		attempt->cause = HP_CAUSE_HAIRPIN_HOST_TARGET; /* the node itself answered */
	else
		attempt->cause = HP_CAUSE_HAIRPIN_NODE_PORT;
}

/*
 * Nobody may have more than a part of what is still free (Choudhury and Hahne, Dynamic Queue Length
 * Thresholds, 1998): the first to flood the table leaves most of it to the others, and however many
 * do, there is room for somebody who has none. The network gets half of a device's part.
 */
#define FREE_TO_DEVICE	8
#define FREE_TO_NETWORK 16

static __always_inline bool may_open_incident(__u32 flags)
{
	__u32 used = incident_count;
	__u32 free = used < HP_INCIDENTS ? HP_INCIDENTS - used : 0;

	return account_of(flags)->incidents <
	       free / (flags & HP_UNSOLICITED ? FREE_TO_NETWORK : FREE_TO_DEVICE);
}

/* A device that fails with more pairs than this does not have each one's first attempt copied, too:
 * a pod can make up many. */
#define FIRSTS_A_DEVICE 16

/* Counts the attempt for its pair: that, or NULL if the table has no room for it. */
static __always_inline struct hp_incident *count_incident(struct hp_attempt *attempt)
{
	struct hp_incident_key incident_key = {
	    .client = attempt->key.client,
	    .lb = attempt->lb,
	    .responder = *hp_responder(attempt),
	    .cause = attempt->cause,
	};
	struct hp_incident *incident = bpf_map_lookup_elem(&incidents, &incident_key);

	if (!incident) {
		bool is_new =
		    may_open_incident(attempt->flags) &&
		    !bpf_map_update_elem(&incidents, &incident_key, &no_incident, BPF_NOEXIST);

		incident = bpf_map_lookup_elem(&incidents, &incident_key);
		if (!incident) {
			count(HP_TOTAL_INCIDENTS_FULL);
			return NULL;
		}
		if (is_new) {
			incident->account = attempt->flags >> HP_ACCOUNT_SHIFT;
			if (__sync_fetch_and_add(&account_of(attempt->flags)->incidents, 1) <
				FIRSTS_A_DEVICE &&
			    !attempt->captured)
				attempt->captured = 1;
			__sync_fetch_and_add(&incident_count, 1);
		}
	}
	__sync_fetch_and_add(&incident->count, 1);
	return incident;
}

/* True for the one who counts it. One that was given up as unanswered may still be. */
static __always_inline bool decide_misdirected(struct hp_attempt *attempt)
{
	if (decide(attempt)) {
		set_flag(attempt, HP_MISMATCHED);
		return true;
	}
	return (attempt->flags & HP_UNANSWERED) &&
	       !(__sync_fetch_and_or(&attempt->flags, HP_MISMATCHED) & HP_MISMATCHED);
}

/* One a second, and one CPU at a time: an example must not be of two attempts. */
static __always_inline bool is_turn_of(struct hp_incident *incident, __u64 now)
{
	__u64 last = incident->last_event_ns;

	return (!last || now - last >= EVENT_INTERVAL_NS) &&
	       __sync_val_compare_and_swap(&incident->last_event_ns, last, now) == last;
}

static __noinline int report_mismatch(struct hp_attempt *attempt, const struct ending *ending)
{
	struct hp_lb_counters *counters;
	struct hp_incident *incident;
	__u64 now = bpf_ktime_get_ns();
	bool is_turn;
	__u32 cause;

	if (!decide_misdirected(attempt))
		return 0;
	judge(attempt, ending);
	cause = attempt->cause;
	counters = counters_of(attempt);
	if (counters) {
		/* An unsolicited one is no handshake with the load balancer. */
		if (!(attempt->flags & (HP_UNANSWERED | HP_UNSOLICITED)))
			__sync_fetch_and_add(&counters->mismatched, 1);
		if (cause < HP_CAUSE_COUNT)
			__sync_fetch_and_add(&counters->mismatches[cause], 1);
	}
	incident = count_incident(attempt);
	if (!incident && counters && cause < HP_CAUSE_COUNT)
		__sync_fetch_and_add(&counters->unpaired[cause], 1);
	if (!incident)
		return 0;
	/* Offered, whether there is room or not: a full ring must not make each attempt dear. */
	is_turn = is_turn_of(incident, now);
	if (is_turn)
		incident->example = *attempt;
	/* Of which incident its packets are, the agent is told by this. */
	if ((is_turn || attempt->captured) && emit(HP_EVENT_MISMATCH, now, attempt))
		set_flag(attempt, HP_EMITTED);
	return 0;
}

static __always_inline void note_ending(struct hp_attempt *attempt, const struct ending *ending)
{
	if (ending->outcome == HP_OUTCOME_UNKNOWN)
		return;
	attempt->outcome = ending->outcome;
	attempt->drop_reason = ending->drop_reason;
	attempt->drop_location = ending->drop_location;
	attempt->syn_dropped = ending->syn_dropped;
	attempt->cilium = ending->cilium;
}

/* Of a load balancer that nobody has named, one packet from the network is no proof: somebody
 * between it and the node can have sent it. */
static __always_inline bool is_single_packet(const struct hp_attempt *attempt)
{
	return attempt->learned == HP_LEARNED &&
	       !(attempt->flags &
		 (HP_SYNACK_LEFT | HP_SYNACK_ARRIVED | HP_SYNACK_PASSED | HP_SYNACK_DELIVERED));
}

/*
 * A pod that sends from an address of which nobody tells whose it is can make up the rest, too: an
 * answer from another pod of its own, and the RST. Not what comes in on an uplink, nor that this
 * node translates.
 */
static __always_inline bool is_believed(const struct hp_attempt *attempt)
{
	if (is_single_packet(attempt))
		return false;
	return !(attempt->flags & (HP_UNVERIFIED | HP_ANSWER_UNVERIFIED)) ||
	       (attempt->flags & (HP_RETURNED | HP_SYNACK_ARRIVED)) ||
	       attempt->conntrack == HP_CONNTRACK_TRANSLATED;
}

/* Conclusive evidence (S6), or news of an attempt already concluded. */
static __noinline int conclude_misdirected(struct hp_attempt *attempt, const struct ending *ending)
{
	if (!is_believed(attempt))
		return 0;
	if (!(attempt->flags & HP_MISMATCHED)) {
		/* What ended it comes after what was only suspected to. */
		note_ending(attempt, ending);
		return report_mismatch(attempt, ending);
	}
	if (attempt->outcome != HP_OUTCOME_UNKNOWN || ending->outcome == HP_OUTCOME_UNKNOWN)
		return 0;
	note_ending(attempt, ending);
	if (attempt->flags & HP_EMITTED)
		emit(HP_EVENT_OUTCOME, bpf_ktime_get_ns(), attempt);
	return 0;
}

/* A drop that a retransmit may survive: what became of the attempt is known if nothing better
 * comes. */
static __noinline int suspect_drop(struct hp_attempt *attempt, const struct ending *ending)
{
	if (attempt->flags & HP_MISMATCHED)
		return conclude_misdirected(attempt, ending);
	note_ending(attempt, ending);
	return 0;
}
