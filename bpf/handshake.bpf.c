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
#include <linux/ptrace.h>
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

#include "drops.h"
#include "from_net.h"
#include "from_pod.h"
#include "parse.h"
#include "resets.h"
#include "sweep.h"
#include "to_net.h"
#include "to_pod.h"

/* TCX_NEXT and TC_ACT_UNSPEC: the next program, else the stack. */
#define NEXT (-1)

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	struct segment segment;

	if (!parse_handshake(skb, &segment, true))
		return NEXT;
	note_device(skb->ifindex);
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
	else if (is_synack(&segment))
		on_net_leaving_synack(skb, &segment);
	return NEXT;
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

	/* A bridge's flooded copy at the wrong port. */
	if (IS_DROP_REASON(reason, OTHERHOST))
		return 0;
	/* What has just been answered with RST, where no other sensor tells of that. */
	if (IS_DROP_REASON(reason, NO_SOCKET)) {
		if (resets_by_drop && parse_sk_buff(skb, &segment))
			on_refused(&segment, skb->dev->ifindex);
		return 0;
	}
	if (!parse_sk_buff(skb, &segment))
		return 0;
	if (is_syn(&segment))
		return on_dropped_syn(skb, &segment, &ending);
	if (is_synack(&segment))
		return on_dropped_synack(skb, &segment, &ending);
	return 0;
}

/* S4: a stack answers `skb` with RST; it and `sk` may be NULL. With a reason for the reset (6.10)
 * it tells of segments without a socket, too. */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_send_reset, struct sock *sk, struct sk_buff *skb)
{
	struct segment segment;

	if (skb && parse_sk_buff(skb, &segment))
		on_refused(&segment, skb->dev->ifindex);
	return 0;
}

/* The same by probes, for kernels where neither tracepoint tells. */
SEC("kprobe/tcp_v4_send_reset")
int BPF_KPROBE(tcp_v4_send_reset, const struct sock *sk, struct sk_buff *skb)
{
	return on_probed_reset(skb);
}

SEC("kprobe/tcp_v6_send_reset")
int BPF_KPROBE(tcp_v6_send_reset, const struct sock *sk, struct sk_buff *skb)
{
	return on_probed_reset(skb);
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
