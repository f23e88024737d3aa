/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Is this destination a load balancer? */
#pragma once

#include "address_filter.h"
#include "maps.h"

/* "No" is certain. */
static __always_inline bool may_be_frontend(const struct hp_address *address)
{
	return filter_has(frontend_filter, address) || have_prefixes;
}

/*
 * The endpoint first, which most load balancers are named by; the port-0 entry tells of the rest.
 * Where ports of an address are listed, only those count, whatever prefix covers it: each port that
 * nobody listens on would take a row of the counters.
 * `own` becomes the endpoint's own entry, or NULL.
 */
static __always_inline bool is_frontend(const struct hp_address *address, __u16 port,
					struct hp_frontend **own)
{
	*own = NULL;
	if (filter_has(frontend_filter, address)) {
		struct hp_endpoint key = {.address = *address, .port = port};
		struct hp_frontend *frontend = bpf_map_lookup_elem(&frontends, &key);

		if (frontend && port) {
			*own = frontend;
			return true;
		}
		key.port = 0;
		frontend = bpf_map_lookup_elem(&frontends, &key);
		if (frontend)
			return frontend->any_port;
	}
	if (have_prefixes) {
		struct hp_prefix_key prefix = {.prefix_length = 128, .address = *address};

		return bpf_map_lookup_elem(&frontend_prefixes, &prefix);
	}
	return false;
}
