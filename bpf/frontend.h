/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Is this destination a load balancer? */
#pragma once

#include "maps.h"

/* The endpoint first, which most load balancers are named by; the port-0 entry tells of the rest.
 */
static __always_inline bool is_frontend(const struct hp_address *address, __u16 port)
{
	__u32 bit = hp_frontend_filter_bit(address);

	if (frontend_filter[(bit / 64) % (HP_FRONTEND_FILTER_BITS / 64)] & (1ULL << (bit % 64))) {
		struct hp_endpoint key = {.address = *address, .port = port};
		struct hp_frontend *frontend = bpf_map_lookup_elem(&frontends, &key);

		if (frontend && port)
			return true;
		key.port = 0;
		frontend = bpf_map_lookup_elem(&frontends, &key);
		if (frontend && frontend->any_port)
			return true;
	}
	if (have_prefixes) {
		struct hp_prefix_key prefix = {.prefix_length = 128, .address = *address};

		return bpf_map_lookup_elem(&frontend_prefixes, &prefix);
	}
	return false;
}
