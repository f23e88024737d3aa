/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sets of address hashes (abi.h): "no" is certain, and costs one load. */
#pragma once

#include <stdbool.h>

#include "hairpind/abi.h"

static __always_inline bool filter_has(const __u64 *filter, const struct hp_address *address)
{
	__u32 bit = hp_address_filter_bit(address);

	return filter[(bit / 64) % (HP_ADDRESS_FILTER_BITS / 64)] & (1ULL << (bit % 64));
}

static __always_inline void filter_add(__u64 *filter, const struct hp_address *address)
{
	__u32 bit = hp_address_filter_bit(address);

	if (!filter_has(filter, address))
		__sync_fetch_and_or(&filter[(bit / 64) % (HP_ADDRESS_FILTER_BITS / 64)],
				    1ULL << (bit % 64));
}
