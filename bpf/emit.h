/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Into the ring buffer. Only candidates get here; what finds no room is counted. */
#pragma once

#include <bpf/bpf_core_read.h>

#include "maps.h"

/* Only the name matters: bpf_core_enum_value_exists asks the kernel's BTF for it. */
enum bpf_func_id___needed {
	BPF_FUNC_snprintf___needed = 165,
};

static __noinline bool emit(enum hp_event_kind kind, __u64 now, const struct hp_attempt *attempt)
{
	struct hp_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		/* A question is put again, and the next SYN tells of the same load balancer:
		 * nothing is lost. */
		if (kind != HP_EVENT_CONNTRACK && kind != HP_EVENT_LEARNED)
			count(HP_TOTAL_RING_FULL);
		return false;
	}
	event->kind = kind;
	event->pad = 0;
	event->time_ns = now;
	event->attempt = *attempt;
	__builtin_memset(event->drop_symbol, 0, sizeof(event->drop_symbol));
	/*
	 * Named here and not in the agent, which may not read kernel addresses (kptr_restrict, no
	 * CAP_SYSLOG). The helper came with 5.13.
	 */
	if (attempt->drop_location &&
	    bpf_core_enum_value_exists(enum bpf_func_id___needed, BPF_FUNC_snprintf___needed)) {
		static const char format[] = "%ps";
		__u64 location = attempt->drop_location;

		bpf_snprintf(event->drop_symbol, sizeof(event->drop_symbol), format, &location,
			     sizeof(location));
	}
	bpf_ringbuf_submit(event, 0);
	count(HP_TOTAL_EVENTS);
	return true;
}
