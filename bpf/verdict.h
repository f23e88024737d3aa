/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Misdirected attempts: which cause, counted once, offered to the ring. */
#pragma once

#include "pending.h"

/* What became of an attempt, as the sensor that noticed it saw it. */
struct ending {
	__u64 drop_location;
	__u32 drop_reason;
	__u8 outcome; /* enum hp_outcome */
	__u8 cause;   /* enum hp_cause, where the ending alone tells it; else HP_CAUSE_NONE */
};

/*
 * The responder as the client sees it. The destination of the returned SYN comes before the source
 * of the SYN-ACK as it left the pod: with a node port the client is answered by the node port,
 * whether or not the SYN-ACK gets as far as being translated back. Nothing answered: all zero.
 */
static __always_inline const struct hp_endpoint *responder_of(const struct hp_attempt *attempt)
{
	if (attempt->flags & HP_SYNACK_DELIVERED)
		return &attempt->synack_delivered;
	if ((attempt->flags & (HP_SYNACK_LEFT | HP_RETURNED)) == (HP_SYNACK_LEFT | HP_RETURNED))
		return &attempt->returned;
	return &attempt->synack_left;
}

static __always_inline void judge(struct hp_attempt *attempt, const struct hp_attempt_key *key,
				  const struct ending *ending)
{
	const struct hp_endpoint *responder = responder_of(attempt);
	/* What the load balancer chose, whoever the client was answered by: on a bridge, the pod
	 * behind a node port answers in its own name. */
	const struct hp_endpoint *target =
	    attempt->flags & HP_RETURNED ? &attempt->returned : responder;

	if (is_seen(responder)) {
		if (bpf_map_lookup_elem(&node_addresses, &responder->address))
			attempt->responder_kind = HP_RESPONDER_NODE;
		else if (attempt->flags & (HP_SYNACK_LEFT | HP_RETURNED))
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
	else if (!bpf_map_lookup_elem(&node_addresses, &target->address))
		attempt->cause = HP_CAUSE_HAIRPIN_IP_TARGET;
	else if ((attempt->flags & HP_SYNACK_DELIVERED) &&
		 !(attempt->flags & (HP_SYNACK_LEFT | HP_FORWARDED)))
		attempt->cause = HP_CAUSE_HAIRPIN_HOST_TARGET; /* the node itself answered */
	else
		attempt->cause = HP_CAUSE_HAIRPIN_NODE_PORT;
}

/* Counts the attempt for its pair. True if it should be offered to the ring as the pair's example.
 */
static __always_inline struct hp_incident *count_incident(const struct hp_attempt_key *key,
							  const struct hp_attempt *attempt)
{
	struct hp_incident_key incident_key = {
	    .client = key->client,
	    .lb = attempt->lb,
	    .responder = *responder_of(attempt),
	    .cause = attempt->cause,
	};
	struct hp_incident *incident = bpf_map_lookup_elem(&incidents, &incident_key);

	if (!incident) {
		bpf_map_update_elem(&incidents, &incident_key, &no_incident, BPF_NOEXIST);
		incident = bpf_map_lookup_elem(&incidents, &incident_key);
		if (!incident) {
			count(HP_TOTAL_INCIDENTS_FULL);
			return NULL;
		}
	}
	__sync_fetch_and_add(&incident->count, 1);
	return incident;
}

static __noinline int report_mismatch(const struct hp_attempt_key *key,
				      const struct hp_attempt *seen, const struct ending *ending)
{
	struct hp_attempt attempt = *seen;
	struct hp_lb_counters *counters;
	struct hp_incident *incident;
	__u64 now = bpf_ktime_get_ns();

	if (bpf_map_delete_elem(&pending, key))
		return 0;
	judge(&attempt, key, ending);
	counters = counters_of(&attempt.lb);
	if (counters) {
		/* An unsolicited one is no handshake with the load balancer. */
		if (!(attempt.flags & (HP_UNANSWERED | HP_UNSOLICITED)))
			__sync_fetch_and_add(&counters->mismatched, 1);
		if (attempt.cause < HP_CAUSE_COUNT)
			__sync_fetch_and_add(&counters->mismatches[attempt.cause], 1);
	}
	attempt.flags |= HP_MISMATCHED;
	incident = count_incident(key, &attempt);
	if (!incident && counters && attempt.cause < HP_CAUSE_COUNT)
		__sync_fetch_and_add(&counters->unpaired[attempt.cause], 1);
	if (incident &&
	    (!incident->last_event_ns || now - incident->last_event_ns >= EVENT_INTERVAL_NS)) {
		/* Offered, whether there is room or not: a full ring must not make each attempt
		 * dear. */
		incident->last_event_ns = now;
		incident->sample_key = *key;
		incident->sample = attempt;
		if (emit(HP_EVENT_MISMATCH, now, key, &attempt))
			attempt.flags |= HP_EMITTED;
	}
	if (bpf_map_update_elem(&pending, key, &attempt, BPF_NOEXIST))
		count(HP_TOTAL_PENDING_FAILED);
	return 0;
}

static __always_inline void note_ending(struct hp_attempt *attempt, const struct ending *ending)
{
	if (ending->outcome == HP_OUTCOME_UNKNOWN)
		return;
	attempt->outcome = ending->outcome;
	attempt->drop_reason = ending->drop_reason;
	attempt->drop_location = ending->drop_location;
}

/* Conclusive evidence (S6), or news of an attempt already concluded. */
static __noinline int conclude_misdirected(const struct hp_attempt_key *key,
					   struct hp_attempt *attempt, const struct ending *ending)
{
	if (!(attempt->flags & HP_MISMATCHED)) {
		/* What ended it comes after what was only suspected to. */
		note_ending(attempt, ending);
		return report_mismatch(key, attempt, ending);
	}
	if (attempt->outcome != HP_OUTCOME_UNKNOWN || ending->outcome == HP_OUTCOME_UNKNOWN)
		return 0;
	note_ending(attempt, ending);
	if (attempt->flags & HP_EMITTED)
		emit(HP_EVENT_OUTCOME, bpf_ktime_get_ns(), key, attempt);
	return 0;
}

/* A drop that a retransmit may survive: what became of the attempt is known if nothing better
 * comes. */
static __noinline int suspect_drop(const struct hp_attempt_key *key, struct hp_attempt *attempt,
				   const struct ending *ending)
{
	if (attempt->flags & HP_MISMATCHED)
		return conclude_misdirected(key, attempt, ending);
	note_ending(attempt, ending);
	return 0;
}
