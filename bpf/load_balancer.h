/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters of each load balancer that has been called. */
#pragma once

#include "accounts.h"
#include "maps.h"

/* Index of the load balancer's counters; 0, those of the rest, if it has none. */
static __always_inline __u32 known_counters(const struct hp_endpoint *lb)
{
	__u32 *known = bpf_map_lookup_elem(&load_balancer_index, lb);

	return known ? *known : 0;
}

/* A row that nobody has, 0 if there is none. */
static __always_inline __u32 take_row(void)
{
	__u32 index;

	if (!bpf_map_pop_elem(&free_rows, &index))
		return index;
	/* Looked at first, so that it does not grow for ever. */
	index = load_balancer_count + 1;
	if (index < HP_LB_COUNTERS)
		index = __sync_fetch_and_add(&load_balancer_count, 1) + 1;
	return index < HP_LB_COUNTERS ? index : 0;
}

/* May a device have one more row for an endpoint that nobody listed? */
static __always_inline bool may_take_row(__u32 flags)
{
	return account_of(flags)->rows < HP_ROWS_A_DEVICE && unlisted_rows < HP_UNLISTED_ROWS;
}

/*
 * Index of the load balancer's counters, made if there are none; 0, those of the rest, where there
 * is no room. `flags` has the account to charge, 0 for a listed endpoint.
 */
static __noinline __u32 find_counters(const struct hp_endpoint *lb, __u32 flags)
{
	struct hp_lb_counters *counters;
	__u32 index = known_counters(lb);

	if (index)
		return index;
	if (!flags || may_take_row(flags))
		index = take_row();
	if (!index) {
		count(HP_TOTAL_LB_TABLE_FULL);
		return 0;
	}
	/* Another CPU may be first. */
	if (bpf_map_update_elem(&load_balancer_index, lb, &index, BPF_NOEXIST)) {
		bpf_map_push_elem(&free_rows, &index, 0);
		return known_counters(lb);
	}
	counters = bpf_map_lookup_elem(&load_balancers, &index);
	if (!counters)
		return 0;
	counters->account = flags >> HP_ACCOUNT_SHIFT;
	counters->lb = *lb;
	if (flags) {
		__sync_fetch_and_add(&account_of(flags)->rows, 1);
		__sync_fetch_and_add(&unlisted_rows, 1);
	}
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
