/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * S4: a stack on this machine, a pod's or the node's own, refuses a SYN-ACK with RST. Three sensors
 * tell: the tracepoint tcp_send_reset, kfree_skb with NO_SOCKET, and kprobes. The agent chooses
 * one.
 */
#pragma once

#include <bpf/bpf_core_read.h>

#include "answers.h"
#include "kernel_types.h"
#include "parse.h"
#include "pending.h"

/* `ifindex` is of the device by which the refused segment came, in its own network namespace. */
static __noinline int on_refused(const struct segment *synack, __u32 ifindex)
{
	struct hp_attempt_key key;
	struct hp_attempt *attempt;

	if (!is_synack(synack))
		return 0;
	set_answered_key(&key, synack);
	attempt = find_any(&key);
	if (!attempt)
		return 0;
	if (!is_endpoint(&attempt->lb, &synack->source, synack->source_port)) {
		/* No hook may have seen it: from the node to itself it passes `lo` alone. A pod's
		 * device has a number of its namespace's here. */
		if (!is_nodes_own(attempt))
			ifindex = 0;
		note_synack(attempt, synack, ifindex);
		conclude_refused_by_client(attempt, &synack->source, synack->source_port);
		if (attempt->captured)
			note_packet(attempt, HP_SENSOR_RESET, ifindex, synack->flags, 0);
	}
	release(attempt);
	return 0;
}

/* A probe's argument is only a number to the verifier. */
static __always_inline int on_probed_reset(struct sk_buff *skb)
{
	const unsigned char *network =
	    BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header);
	struct segment segment;

	if (parse_kernel_headers(network, BPF_CORE_READ(skb, protocol), &segment))
		on_refused(&segment, BPF_CORE_READ(skb, dev, ifindex));
	return 0;
}
