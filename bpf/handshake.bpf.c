// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Entry points. docs/design.md has the rule; S1 to S6 below are its steps.
 *
 * Every TC program returns NEXT on every path and changes nothing in the packet: the datapath's own
 * programs run as if hairpind were not there.
 *
 * The handlers that get a whole segment are global functions: the verifier reads each once, and not
 * for every way that a packet can be parsed. It takes their argument for NULL until it is checked.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef ENOENT
#define ENOENT 2
#endif
#ifndef EEXIST
#define EEXIST 17
#endif

#include "conntrack.h"
#include "conntrack_question.h"
#include "emit.h"
#include "frontend.h"
#include "isn_tags.h"
#include "maps.h"
#include "parse.h"
#include "pending.h"
#include "source_check.h"
#include "verdict.h"

/* TCX_NEXT and TC_ACT_UNSPEC: the next program, else the stack. */
#define NEXT (-1)

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* S1: a pod's SYN. */
__noinline int on_pod_syn(struct __sk_buff *skb, const struct segment *syn)
{
	struct hp_attempt_key key;
	struct hp_index_set *set;
	struct hp_attempt *attempt;
	struct hp_frontend *frontend;
	struct hp_source *source;
	__u64 now;

	if (!syn)
		return 0;
	if (!is_frontend(&syn->destination, syn->destination_port, &frontend))
		return 0;
	set_key(&key, &syn->source, syn->source_port, syn->sequence);
	set = set_of(&key);
	if (!set)
		return 0;
	attempt = find_in(set, &key);
	if (attempt && is_endpoint(&attempt->lb, &syn->destination, syn->destination_port))
		return count_retransmit(attempt);
	source = bpf_map_lookup_elem(&sources, &syn->source);
	if (!source || source->ifindex != skb->ifindex) {
		if (count_if_forged(skb, syn))
			return 0;
		source = bpf_map_lookup_elem(&sources, &syn->source);
	}
	if (attempt)
		forget(attempt);
	now = bpf_ktime_get_ns();
	add_attempt(set, &key, syn, frontend, skb->ifindex, 0, now);
	note_caller(syn, source, now);
	if (syn->payload_length)
		add_fast_open_alias(&key, syn->payload_length, now);
	return 0;
}

static __always_inline void note_synack(struct hp_attempt *attempt, const struct segment *synack,
					__u32 ifindex)
{
	if (attempt->synack_ns)
		return;
	attempt->synack_ns = bpf_ktime_get_ns();
	attempt->synack_ifindex = ifindex;
	attempt->synack_ack = synack->acknowledgment;
}

/* What an attempt was counted as stays: a later, other answer must not rename its incident. */
static __always_inline void note_delivered(struct hp_attempt *attempt,
					   const struct hp_address *responder, __u16 port)
{
	if (attempt->flags & (HP_SYNACK_DELIVERED | HP_MISMATCHED))
		return;
	set_endpoint(&attempt->synack_delivered, responder, port);
	set_flag(attempt, HP_SYNACK_DELIVERED);
}

/*
 * S4: a client's stack refuses the answer of `responder`. Believed only of who has been seen to
 * answer, or to be sent the SYN: a pod can send itself any SYN-ACK, and RST to anybody.
 */
static __noinline int conclude_refused_by_client(struct hp_attempt *attempt,
						 const struct hp_address *responder, __u16 port)
{
	struct ending ending = {.outcome = HP_OUTCOME_RESET_BY_CLIENT};

	if (!is_endpoint(&attempt->synack_delivered, responder, port) &&
	    !is_endpoint(&attempt->synack_left, responder, port) &&
	    !is_endpoint(&attempt->returned, responder, port))
		return 0;
	if (attempt->flags & HP_UNSOLICITED)
		ending.cause = HP_CAUSE_UNSOLICITED_SYNACK;
	note_delivered(attempt, responder, port);
	return conclude_misdirected(attempt, &ending);
}

/*
 * S3 at the target of a node port that hides its clients (externalTrafficPolicy Cluster): the
 * SYN-ACK is for the node, and only its ISN says for whom. The client will be told by the node
 * port.
 */
static __noinline int on_masqueraded_synack(struct __sk_buff *skb, const struct segment *synack)
{
	struct hp_attempt *attempt = find_by_isn(synack->acknowledgment - 1);

	/* Not returned: the node translates for its own pods, and will undo it. */
	if (!attempt || !(attempt->flags & HP_RETURNED) ||
	    (attempt->flags & (HP_SYNACK_LEFT | HP_MISMATCHED)) ||
	    !bpf_map_lookup_elem(&node_addresses, &synack->destination))
		return 0;
	if (count_if_forged(skb, synack))
		return 0;
	note_synack(attempt, synack, skb->ifindex);
	set_endpoint(&attempt->synack_left, &synack->source, synack->source_port);
	set_flag(attempt, HP_SYNACK_LEFT);
	return 0;
}

/* S3 at the target, S5: only suspicion, since the reply may still be translated or routed back to
 * the LB. */
__noinline int on_pod_synack(struct __sk_buff *skb, const struct segment *synack)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;
	enum hp_conntrack conntrack = HP_CONNTRACK_UNCHECKED;

	if (!synack)
		return 0;
	/* Nearly all answer no SYN to a load balancer, and the tables are cold. */
	if (!may_answer_syn(synack->acknowledgment))
		return 0;
	set_key(&key, &synack->destination, synack->destination_port, synack->acknowledgment - 1);
	attempt = find_any(&key);
	if (!attempt)
		return on_masqueraded_synack(skb, synack);
	if (is_endpoint(&attempt->lb, &synack->source, synack->source_port) ||
	    (attempt->flags & (HP_SYNACK_LEFT | HP_TRANSLATED | HP_MISMATCHED)))
		return 0;
	if (count_if_forged(skb, synack))
		return 0;
	/*
	 * To an alias the node's SNAT would have to undo its work first: the entry would not tell.
	 * Nor is there one of an unsolicited SYN's.
	 */
	if (same_address(&attempt->key.client, &synack->destination) &&
	    !(attempt->flags & HP_UNSOLICITED))
		conntrack = conntrack_verdict(skb, attempt, synack);
	attempt->conntrack = conntrack;
	if (conntrack != HP_CONNTRACK_UNCHECKED)
		attempt->conntrack_source = HP_CONNTRACK_SOURCE_KERNEL;
	note_synack(attempt, synack, skb->ifindex);
	set_endpoint(&attempt->synack_left, &synack->source, synack->source_port);
	set_flag(attempt, HP_SYNACK_LEFT);
	if (conntrack == HP_CONNTRACK_TRANSLATED) {
		set_flag(attempt, HP_TRANSLATED);
		COUNT_LB(attempt, translations);
	}
	return 0;
}

/*
 * S4, S6: a pod refuses a SYN-ACK with RST, seq = the SYN-ACK's ack (RFC 9293, 3.5.2). One to the
 * load balancer says that the load balancer answered.
 */
__noinline int on_pod_reset(struct __sk_buff *skb, const struct segment *reset)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!reset)
		return 0;
	set_key(&key, &reset->source, reset->source_port, reset->sequence - 1);
	attempt = find_any(&key);
	if (!attempt)
		return 0;
	/* A target knows the ISN that it was sent. */
	if (count_if_forged(skb, reset))
		return 0;
	if (!(attempt->flags & HP_UNSOLICITED) &&
	    is_endpoint(&attempt->lb, &reset->destination, reset->destination_port))
		return conclude_answered(attempt, false);
	return conclude_refused_by_client(attempt, &reset->destination, reset->destination_port);
}

/*
 * S6 where the answer passes no hook on its way to the pod (bpf_redirect_peer): only a client that
 * has it acknowledges it.
 */
__noinline int on_pod_ack(struct __sk_buff *skb, const struct segment *ack)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!ack)
		return 0;
	set_key(&key, &ack->source, ack->source_port, ack->sequence - 1);
	attempt = find_attempt(&key);
	if (!attempt || !is_endpoint(&attempt->lb, &ack->destination, ack->destination_port))
		return 0;
	if (count_if_forged(skb, ack))
		return 0;
	return conclude_answered(attempt, false);
}

/* The client is given an answer: S6 if it is the load balancer's, S3 conclusive if it is not. */
static __always_inline int on_delivered(struct __sk_buff *skb, const struct segment *answer,
					struct hp_attempt *attempt)
{
	struct ending ending = {};

	if (is_endpoint(&attempt->lb, &answer->source, answer->source_port))
		return conclude_answered(attempt, answer->flags & TCP_RST);
	/* A stray RST is no handshake: the client's stack ignores it. */
	if (answer->flags & TCP_RST)
		return 0;
	note_synack(attempt, answer, skb->ifindex);
	note_delivered(attempt, &answer->source, answer->source_port);
	return conclude_misdirected(attempt, &ending);
}

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

/*
 * An answer that comes in on the uplink has reached a client on the node itself. For a pod it is
 * still on its way: the node may translate or drop it, or give it to the pod past every hook.
 */
__noinline int on_net_answer(struct __sk_buff *skb, const struct segment *answer)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!answer)
		return 0;
	set_key(&key, &answer->destination, answer->destination_port, answer->acknowledgment - 1);
	attempt = find_attempt(&key);
	if (!attempt)
		return 0;
	if (attempt->flags & HP_HOST_CLIENT)
		return on_delivered(skb, answer, attempt);
	if (is_endpoint(&attempt->lb, &answer->source, answer->source_port)) {
		if (answer->flags & TCP_RST)
			return conclude_answered(attempt, true);
		set_flag(attempt, HP_ANSWER_ARRIVED);
		return 0;
	}
	if ((answer->flags & TCP_RST) ||
	    (attempt->flags & (HP_SYNACK_LEFT | HP_SYNACK_ARRIVED | HP_MISMATCHED)))
		return 0;
	note_synack(attempt, answer, skb->ifindex);
	set_endpoint(&attempt->synack_left, &answer->source, answer->source_port);
	set_flag(attempt, HP_SYNACK_ARRIVED);
	return 0;
}

/* S2: the load balancer kept the source and chose this node. */
__noinline int on_net_syn(struct __sk_buff *skb, const struct segment *syn)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!syn)
		return 0;
	if (!may_be_client(&syn->source))
		return 0;
	set_key(&key, &syn->source, syn->source_port, syn->sequence);
	attempt = find_any(&key);
	if (!attempt)
		return add_unsolicited(&key, syn, skb->ifindex);
	if ((attempt->flags & (HP_RETURNED | HP_MISMATCHED)) ||
	    is_endpoint(&attempt->lb, &syn->destination, syn->destination_port))
		return 0;
	set_endpoint(&attempt->returned, &syn->destination, syn->destination_port);
	set_flag(attempt, HP_RETURNED);
	/* Its SYN-ACK may be for the node, and tell by the ISN alone. */
	index_isn(attempt);
	return 0;
}

/* A node port passes the returned SYN on to another node. */
static __noinline int on_forwarded_syn(const struct segment *syn)
{
	struct hp_attempt *attempt = find_by_isn(syn->sequence);

	if (attempt && (attempt->flags & HP_RETURNED))
		set_flag(attempt, HP_FORWARDED);
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
	/* Nearly always a pod's that from_pod has just seen. */
	if (attempt && is_endpoint(&attempt->lb, &syn->destination, syn->destination_port))
		return attempt->flags & HP_HOST_CLIENT ? count_retransmit(attempt) : 0;
	if (!is_frontend(&syn->destination, syn->destination_port, &frontend))
		return on_forwarded_syn(syn);
	if (attempt)
		return 0;
	attempt = find_by_isn(syn->sequence);
	if (attempt && !(attempt->flags & HP_HOST_CLIENT) &&
	    is_endpoint(&attempt->lb, &syn->destination, syn->destination_port)) {
		set_flag(attempt, HP_SNATED);
		return add_alias(&key, &attempt->key, attempt->last_ns);
	}
	/* What is forwarded for somebody else is not this node's to judge. */
	if (bpf_map_lookup_elem(&node_addresses, &syn->source)) {
		now = bpf_ktime_get_ns();
		add_attempt(set, &key, syn, frontend, skb->ifindex, HP_HOST_CLIENT, now);
		note_caller(syn, NULL, now);
	}
	return 0;
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	struct segment segment;

	if (!parse_handshake(skb, &segment, true))
		return NEXT;
	if (is_syn(&segment))
		on_pod_syn(skb, &segment);
	else if (is_synack(&segment))
		on_pod_synack(skb, &segment);
	else if ((segment.flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_RST)
		on_pod_reset(skb, &segment);
	else if ((segment.flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK)
		on_pod_ack(skb, &segment);
	return NEXT;
}

SEC("tc")
int to_pod(struct __sk_buff *skb)
{
	struct segment segment;

	if (!parse_handshake(skb, &segment, false))
		return NEXT;
	if (segment.flags & TCP_ACK)
		on_answer_to_pod(skb, &segment);
	return NEXT;
}

SEC("tc")
int from_net(struct __sk_buff *skb)
{
	struct segment segment;

	if (!parse_handshake(skb, &segment, false))
		return NEXT;
	if (is_syn(&segment))
		on_net_syn(skb, &segment);
	else if (segment.flags & TCP_ACK)
		on_net_answer(skb, &segment);
	return NEXT;
}

SEC("tc")
int to_net(struct __sk_buff *skb)
{
	struct segment segment;

	if (!parse_handshake(skb, &segment, false))
		return NEXT;
	if (is_syn(&segment))
		on_net_leaving_syn(skb, &segment);
	return NEXT;
}

/*
 * Which drops of a returned SYN end the attempt: the kernel refuses its source on this device, so
 * that every retransmit will fare the same. Any other (a policy, a full backlog, a connection in
 * TIME_WAIT) says nothing of the answer's way.
 */
static __always_inline enum hp_cause refused_source(const struct hp_attempt *attempt, __u32 reason)
{
	if (IS_DROP_REASON(reason, IP_RPFILTER))
		return HP_CAUSE_HAIRPIN_RP_FILTER;
	if (IS_DROP_REASON(reason, IP_LOCAL_SOURCE))
		return HP_CAUSE_HAIRPIN_MARTIAN;
	/* Before 6.14 a martian is dropped without a reason of its own. */
	if (IS_DROP_REASON(reason, NOT_SPECIFIED) &&
	    (attempt->flags & (HP_HOST_CLIENT | HP_SNATED)))
		return HP_CAUSE_HAIRPIN_MARTIAN;
	return HP_CAUSE_NONE;
}

/*
 * Had routing decided to hand it to a pod, rather than to send it out of the node, where the load
 * balancer's fabric may still restore its source?
 */
static __always_inline bool was_routed_to_pod(struct sk_buff *skb)
{
	/* The lowest bit says whether a reference is held (SKB_DST_NOREF). */
	struct dst_entry *route = (struct dst_entry *)(skb->_skb_refdst & ~1UL);
	struct hp_device *device;
	__u32 ifindex;

	if (!route)
		return false;
	ifindex = BPF_CORE_READ(route, dev, ifindex);
	device = bpf_map_lookup_elem(&devices, &ifindex);
	return device && device->role == HP_DEVICE_POD;
}

static __always_inline int on_dropped_syn(const struct segment *syn, struct ending *ending)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	set_key(&key, &syn->source, syn->source_port, syn->sequence);
	attempt = find_attempt(&key);
	/*
	 * Only the one that came back: on its way out it may be dropped for any reason. A node port
	 * may have given it another destination by now.
	 */
	if (!attempt || !(attempt->flags & HP_RETURNED) ||
	    is_endpoint(&attempt->lb, &syn->destination, syn->destination_port))
		return 0;
	ending->cause = refused_source(attempt, ending->drop_reason);
	if (ending->cause != HP_CAUSE_NONE)
		return conclude_misdirected(attempt, ending);
	return suspect_drop(attempt, ending);
}

static __always_inline int on_dropped_synack(struct sk_buff *skb, const struct segment *synack,
					     const struct ending *ending)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	set_key(&key, &synack->destination, synack->destination_port, synack->acknowledgment - 1);
	attempt = find_attempt(&key);
	if (!attempt || is_endpoint(&attempt->lb, &synack->source, synack->source_port) ||
	    (attempt->flags & HP_TRANSLATED))
		return 0;
	/* A reply that conntrack could not be asked about may be one that the node would have
	 * translated. */
	if (was_routed_to_pod(skb) &&
	    ((attempt->flags & HP_RETURNED) || !conntrack_is_open(attempt)))
		return conclude_misdirected(attempt, ending);
	return suspect_drop(attempt, ending);
}

/*
 * S4: the kernel dropped a packet, and says why (>= 5.17). Fires for every drop of every packet on
 * the machine, so that all but handshakes leave after a few loads.
 */
SEC("tp_btf/kfree_skb")
int BPF_PROG(kfree_skb, struct sk_buff *skb, void *location, __u32 reason)
{
	struct ending ending = {
	    .outcome = HP_OUTCOME_DROPPED,
	    .drop_reason = reason,
	    .drop_location = (__u64)location,
	};
	struct segment segment;

	/* A bridge's flooded copy at the wrong port, or a SYN-ACK that tcp_send_reset has just told
	 * of. */
	if (IS_DROP_REASON(reason, OTHERHOST) || IS_DROP_REASON(reason, NO_SOCKET))
		return 0;
	if (!parse_sk_buff(skb, &segment))
		return 0;
	if (is_syn(&segment))
		return on_dropped_syn(&segment, &ending);
	if (is_synack(&segment))
		return on_dropped_synack(skb, &segment, &ending);
	return 0;
}

/*
 * S4: a stack on this machine, a pod's or the node's own, answers a SYN-ACK with RST. `skb` is that
 * SYN-ACK; it and `sk` may be NULL.
 */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_send_reset, struct sock *sk, struct sk_buff *skb)
{
	struct segment segment;
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!skb || !parse_sk_buff(skb, &segment) || !is_synack(&segment))
		return 0;
	set_key(&key, &segment.destination, segment.destination_port, segment.acknowledgment - 1);
	attempt = find_any(&key);
	if (!attempt || is_endpoint(&attempt->lb, &segment.source, segment.source_port))
		return 0;
	/* No hook may have seen it: from the node to itself it passes `lo` alone. A pod's device
	 * has a number of its namespace's here. */
	note_synack(attempt, &segment, attempt->flags & HP_HOST_CLIENT ? skb->dev->ifindex : 0);
	return conclude_refused_by_client(attempt, &segment.source, segment.source_port);
}

struct sweep_state {
	__u64 now_ns;
	__u64 undecided;
	__u64 kept;
};

struct bpf_map;

static __noinline int sweep_attempt(struct hp_attempt *attempt, struct sweep_state *state)
{
	struct ending ending = {};
	__u64 now = state->now_ns;

	state->kept++;
	/* Seen on another CPU after `now` was read. */
	if (attempt->last_ns > now)
		return 0;
	if (attempt->flags & (HP_ALIAS | HP_UNANSWERED | HP_MISMATCHED)) {
		if (now - attempt->last_ns >= RETRANSMIT_WINDOW_NS)
			forget(attempt);
		return 0;
	}
	if (attempt->flags & HP_UNSOLICITED) {
		if (now - attempt->first_ns >= handshake_timeout_ns)
			forget(attempt);
		return 0;
	}
	if (awaits_conntrack(attempt, now) || now - attempt->first_ns < handshake_timeout_ns) {
		state->undecided++;
		return 0;
	}
	/* Translated by this node or answered by the LB, and the client has never acknowledged it:
	 * lost on the way, but not misdirected. */
	if ((attempt->flags & (HP_RETURNED | HP_SYNACK_LEFT)) &&
	    !(attempt->flags & (HP_TRANSLATED | HP_ANSWER_ARRIVED)))
		conclude_misdirected(attempt, &ending);
	else
		conclude_unanswered(attempt);
	return 0;
}

static long sweep_set(struct bpf_map *map, const __u32 *index, struct hp_index_set *set,
		      struct sweep_state *state)
{
	for (int way = 0; way < HP_INDEX_WAYS; way++) {
		__u64 word = set->words[way];
		struct hp_attempt *attempt;

		if (state_of(word) == HP_ATTEMPT_NONE)
			continue;
		attempt = attempt_at(place_of(word));
		if (attempt)
			sweep_attempt(attempt, state);
	}
	return 0;
}

/* Run by the agent: the settle time of S6, and the end of what is remembered.
 * bpf_for_each_map_elem: 5.13. */
SEC("syscall")
int sweep(struct hp_sweep *argument)
{
	struct sweep_state state = {.now_ns = argument->now_ns};

	bpf_for_each_map_elem(&attempt_index, sweep_set, &state, 0);
	argument->undecided = state.undecided;
	argument->kept = state.kept;
	return 0;
}

/* Run by the agent: its answer to HP_EVENT_CONNTRACK. */
SEC("syscall")
int set_conntrack(struct hp_conntrack_answer *answer)
{
	return take_conntrack_answer(answer);
}
