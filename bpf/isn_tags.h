/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which packets may belong to a pending SYN, told by a few bits of its ISN and one load: the
 * SYN-ACK that matters among those of every server on the node, and the client's first ACK among
 * all its data. Hints: what they let pass is looked up. A false "no" takes more new ISNs in one
 * place, while one is pending, than the place has lanes.
 */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>

#define LANE(lanes) (64 / (lanes))
/* One in each lane. */
#define EACH(lanes) (~0ULL / ((1ULL << LANE(lanes)) - 1))

/* The top bit of the lowest lane that holds `tag`, perhaps of others, too; 0 if none does (Warren,
 * Hacker's Delight, 6-1). */
static __always_inline __u64 lanes_with(__u64 tags, __u32 tag, __u64 each, __u32 bits)
{
	__u64 differences = tags ^ tag * each;

	return (differences - each) & ~differences & each << (bits - 1);
}

/* Of SYN-ACKs that leave pods: 16 bits of each ISN, the four newest in a place. */
#define SYNACK_TAG_PLACES 1024
static __u64 synack_tags[SYNACK_TAG_PLACES];

/*
 * Of all that pods send: 8 bits of each ISN, the eight newest in a place. As small as this, since
 * every data segment comes here: a larger table has left the caches when the next one does, and 8
 * KiB cost each of them 55 ns.
 */
#define ACK_TAG_PLACES 64
static __u64 ack_tags[ACK_TAG_PLACES];

/*
 * How many of either one device may fill, or one pod's flood would take everybody's: half of the
 * ack_tags, which an attempt keeps until it is answered or long past, and as many pending attempts
 * as push the others' SYNACK_TAGS out only while they last.
 */
#define ACK_TAGS_A_DEVICE    256
#define SYNACK_TAGS_A_DEVICE 1024

static __always_inline __u16 synack_tag(__u32 isn)
{
	return isn / SYNACK_TAG_PLACES;
}

static __always_inline __u8 ack_tag(__u32 isn)
{
	return isn / ACK_TAG_PLACES;
}

static __always_inline bool may_answer_syn(__u32 acknowledgment)
{
	__u32 isn = acknowledgment - 1;

	return lanes_with(synack_tags[isn % SYNACK_TAG_PLACES], synack_tag(isn), EACH(4), LANE(4));
}

static __always_inline bool may_follow_syn(__u32 sequence)
{
	__u32 isn = sequence - 1;

	return lanes_with(ack_tags[isn % ACK_TAG_PLACES], ack_tag(isn), EACH(8), LANE(8));
}

/* Another CPU may change the same place meanwhile; a third try is not worth it for a hint. */
static __always_inline void push_tag(__u64 *place, __u32 tag, __u32 bits)
{
	for (int i = 0; i < 2; i++) {
		__u64 seen = *place;

		if (__sync_val_compare_and_swap(place, seen, seen << bits | tag) == seen)
			return;
	}
}

static __always_inline void push_synack_tag(__u32 isn)
{
	push_tag(&synack_tags[isn % SYNACK_TAG_PLACES], synack_tag(isn), LANE(4));
}

/* Into a lane that has been left, which holds 0, else in place of the oldest. */
static __always_inline void push_ack_tag(__u32 isn)
{
	__u64 *place = &ack_tags[isn % ACK_TAG_PLACES];

	for (int i = 0; i < 2; i++) {
		__u64 seen = *place, tag = ack_tag(isn);
		__u64 top = lanes_with(seen, 0, EACH(8), LANE(8));
		__u64 next = seen << LANE(8) | tag;

		top &= -top;
		if (top)
			next = seen | tag * (top >> (LANE(8) - 1));
		if (__sync_val_compare_and_swap(place, seen, next) == seen)
			return;
	}
}

/* Once answered: the client's ACK and its first data need not be looked up. */
static __always_inline void untag_ack(__u32 isn)
{
	__u64 *place = &ack_tags[isn % ACK_TAG_PLACES];
	__u64 seen = *place;
	__u64 top = lanes_with(seen, ack_tag(isn), EACH(8), LANE(8));

	top &= -top;
	/* From the lane's top bit down to its lowest. */
	__sync_val_compare_and_swap(place, seen, seen & ~((top << 1) - (top >> (LANE(8) - 1))));
}
