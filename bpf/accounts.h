/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who takes how much of the tables that all share, so that nobody takes another's part. By device
 * and not by address: where nothing tells whose an address is, a pod may send from many. An array
 * that is found without a look-up; devices whose numbers are a multiple of its size apart share an
 * account, which only tells on nodes that have made thousands of devices.
 */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>

#include "hairpind/abi.h"

struct hp_account accounts[HP_ACCOUNTS];

__u32 crowding_device; /* whose attempt was given up last; 0: one that came from the network */

static __always_inline __u32 account_of_device(__u32 ifindex)
{
	return (ifindex % (HP_ACCOUNTS - 1) + 1) << HP_ACCOUNT_SHIFT;
}

static __always_inline struct hp_account *account_of(__u32 flags)
{
	return &accounts[flags >> HP_ACCOUNT_SHIFT];
}

#define ONE_UNDECIDED 1ULL
#define ONE_TAGGED    (1ULL << 32)

static __always_inline __u32 undecided_of(__u32 flags)
{
	return account_of(flags)->attempts;
}

static __always_inline __u32 tagged_of(__u32 flags)
{
	return account_of(flags)->attempts >> 32;
}
