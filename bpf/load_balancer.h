/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters of each load balancer that has been called. */
#pragma once

#include "maps.h"

/* Index of the load balancer's counters; 0, those of the rest, where the table is full. */
static __noinline __u32 find_counters(const struct hp_endpoint *lb)
{
	__u32 *known = bpf_map_lookup_elem(&load_balancer_index, lb);
	struct hp_lb_counters *counters;
	__u32 index;

	if (known)
		return *known;
	/* Looked at first, so that it does not grow for ever. */
	index = load_balancer_count + 1;
	if (index < HP_LB_COUNTERS)
		index = __sync_fetch_and_add(&load_balancer_count, 1) + 1;
	if (index >= HP_LB_COUNTERS) {
		count(HP_TOTAL_LB_TABLE_FULL);
		return 0;
	}
	/* Another CPU may be first; then this place stays without a name. */
	if (bpf_map_update_elem(&load_balancer_index, lb, &index, BPF_NOEXIST)) {
		known = bpf_map_lookup_elem(&load_balancer_index, lb);
		return known ? *known : 0;
	}
	counters = bpf_map_lookup_elem(&load_balancers, &index);
	if (!counters)
		return 0;
	counters->lb = *lb;
	return index;
}

/* Never NULL, but the verifier wants to see it checked. */
static __always_inline struct hp_lb_counters *counters_of(const struct hp_attempt *attempt)
{
	__u32 index = attempt->counters;

	return bpf_map_lookup_elem(&load_balancers, &index);
}

/* Shared counters, not per CPU: they move once a handshake, and readers get exact sums. */
#define COUNT_LB(attempt, counter)                                                                 \
	do {                                                                                       \
		struct hp_lb_counters *lb_counters = counters_of(attempt);                         \
		if (lb_counters)                                                                   \
			__sync_fetch_and_add(&lb_counters->counter, 1);                            \
	} while (0)
